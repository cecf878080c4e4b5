// Package problem is what goes wrong with a PostgreSQL server, in the words that an application gets.
package problem

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrUsage says that a call makes no sense, whatever the server says.
var ErrUsage = errors.New("wrong use of the PostgreSQL connector")

// ErrConfiguration says that a section of psql_servers cannot be used.
var ErrConfiguration = errors.New("wrong configuration of a PostgreSQL server")

// Problem is an error as an application gets it. No field holds a password.
type Problem struct {
	Message    string
	SQLState   string // "" when it is not the server's
	Detail     string
	Hint       string
	Schema     string
	Table      string
	Column     string
	Constraint string
	Lost       bool // the connection is gone
}

func (p *Problem) Error() string { return p.Message }

// Of is any error of the connector or pgx as a Problem. place names the server: key, host, port.
func Of(err error, place string) *Problem {
	var done *Problem
	if errors.As(err, &done) {
		return done
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		p := &Problem{
			SQLState: server.Code, Detail: server.Detail, Hint: server.Hint, Schema: server.SchemaName, Table: server.TableName,
			Column: server.ColumnName, Constraint: server.ConstraintName, Lost: server.Severity == "FATAL" || server.Severity == "PANIC",
		}
		p.Message = fmt.Sprintf("%s (SQLSTATE %s)", server.Message, server.Code)
		if p.Lost {
			p.Message = place + ": " + p.Message
		}
		return p
	}
	if errors.Is(err, ErrUsage) || errors.Is(err, ErrConfiguration) {
		return &Problem{Message: err.Error()}
	}
	var connecting *pgconn.ConnectError
	return &Problem{Message: place + ": " + reason(err, errors.As(err, &connecting)), Lost: true}
}

// reason says in its own text why the server was not reached: pgx's texts quote the connection string.
func reason(err error, connecting bool) string {
	var timeout net.Error
	var errno syscall.Errno
	var dns *net.DNSError
	doing := "the connection was lost while a statement was running; whether it took effect is not known"
	if connecting {
		doing = "cannot connect"
	}
	switch {
	case errors.As(err, &dns):
		return doing + ": no such host"
	case errors.As(err, &errno):
		return doing + ": " + errno.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return doing + ": timeout"
	}
	if connecting {
		if inner := innermost(err); inner != nil {
			return doing + ": " + inner.Error()
		}
	}
	return doing
}

// innermost is the cause of a failed connection: what TLS or the protocol says.
func innermost(err error) error {
	for {
		switch wrapped := err.(type) {
		case interface{ Unwrap() error }:
			if wrapped.Unwrap() == nil {
				return err
			}
			err = wrapped.Unwrap()
		case interface{ Unwrap() []error }:
			if len(wrapped.Unwrap()) == 0 {
				return err
			}
			err = wrapped.Unwrap()[0]
		default:
			return err
		}
	}
}
