package call

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"envoxyd/modules/postgres/pool"
	"envoxyd/modules/postgres/types"
)

// StatementsKept is how many prepared statements a connection keeps.
const StatementsKept = 256

// statements are what one connection knows of the statements that it has run.
type statements struct {
	known   map[string]*statement
	number  uint64 // of the name given last
	uses    uint64
	zone    *time.Location
	zoneFor string
}

// statement is a description, with the plan to read its results by.
type statement struct {
	description *pgconn.StatementDescription
	columns     []types.Column
	formats     []int16
	used        uint64
}

const statementsSlot = "envoxyd" // in PgConn.CustomData

func statementsOf(conn *pgconn.PgConn) *statements {
	data := conn.CustomData()
	s, ok := data[statementsSlot].(*statements)
	if !ok {
		s = &statements{known: map[string]*statement{}}
		data[statementsSlot] = s
	}
	return s
}

// identity tells statements apart: the same text with other types is another one.
func identity(b bound) string {
	key := make([]byte, 0, len(b.text)+4*len(b.args))
	key = append(key, b.text...)
	for i := range b.args {
		key = binary.BigEndian.AppendUint32(key, b.args[i].OID)
	}
	return string(key)
}

// prepared is the statement as this connection has it; named ones are kept by the
// server too. It prepares one that is new.
func (s *statements) prepared(ctx context.Context, conn *pgconn.PgConn, b bound, named bool) (*statement, error) {
	key := identity(b)
	s.uses++
	if known := s.known[key]; known != nil {
		known.used = s.uses
		return known, nil
	}
	name := ""
	if named {
		if err := s.makeRoom(ctx, conn); err != nil {
			return nil, err
		}
		s.number++
		name = "envoxyd_" + strconv.FormatUint(s.number, 10)
	}
	description, err := s.describe(ctx, conn, name, b)
	if err != nil {
		return nil, err
	}
	made := &statement{description: description, used: s.uses}
	made.columns, made.formats = types.PlanColumns(description.Fields)
	if len(s.known) >= StatementsKept {
		clear(s.known) // unnamed ones cost nothing to find again
	}
	s.known[key] = made
	return made, nil
}

// describe prepares. Where the text says nothing about a parameter's type, it is text, as a quoted constant would be.
func (s *statements) describe(ctx context.Context, conn *pgconn.PgConn, name string, b bound) (*pgconn.StatementDescription, error) {
	oids := make([]uint32, len(b.args))
	for i := range b.args {
		oids[i] = b.args[i].OID
	}
	guarded := conn.TxStatus() == 'T' && hasZero(oids) // a refusal would end the transaction
	if guarded {
		if err := execute(ctx, conn, "savepoint envoxyd_prepare"); err != nil {
			return nil, err
		}
	}
	description, err := conn.Prepare(ctx, name, b.text, oids)
	var server *pgconn.PgError
	if errors.As(err, &server) && untyped[server.Code] && hasZero(oids) {
		for i := range oids {
			if oids[i] == 0 {
				oids[i] = pgtype.TextOID
			}
		}
		if guarded {
			if err := execute(ctx, conn, "rollback to savepoint envoxyd_prepare"); err != nil {
				return nil, err
			}
		}
		description, err = conn.Prepare(ctx, name, b.text, oids)
	}
	if guarded && err == nil {
		err = execute(ctx, conn, "release savepoint envoxyd_prepare")
	}
	if err != nil && !errors.As(err, &server) {
		return nil, &unsent{err}
	}
	return description, err
}

// untyped are the errors that say that a parameter's type is not to be found, or not the same everywhere.
var untyped = map[string]bool{"42P18": true, "42P08": true}

func hasZero(oids []uint32) bool {
	for _, oid := range oids {
		if oid == 0 {
			return true
		}
	}
	return false
}

// unsent is an error before anything was executed.
type unsent struct{ err error }

func (u *unsent) Error() string { return u.err.Error() }
func (u *unsent) Unwrap() error { return u.err }

// SafeToRetry is what pgconn.SafeToRetry asks.
func (u *unsent) SafeToRetry() bool { return true }

// makeRoom gives up the statement that was not used for longest.
func (s *statements) makeRoom(ctx context.Context, conn *pgconn.PgConn) error {
	if len(s.known) < StatementsKept {
		return nil
	}
	oldest := ""
	for key, one := range s.known {
		if oldest == "" || one.used < s.known[oldest].used {
			oldest = key
		}
	}
	name := s.known[oldest].description.Name
	delete(s.known, oldest)
	if err := conn.Deallocate(ctx, name); err != nil {
		return fmt.Errorf("giving up a prepared statement: %w", err)
	}
	return nil
}

// forget drops a statement whose plan the server no longer has or no longer takes.
func (s *statements) forget(b bound) { delete(s.known, identity(b)) }

// stale says that a failure is the prepared statement's, not the query's: nothing was executed.
func stale(err error) bool {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return false
	}
	switch server.Code {
	case "26000": // no such statement: DISCARD ALL was executed
		return true
	case "0A000": // "cached plan must not change result type", in the server's language
		return server.Routine == "RevalidateCachedQuery"
	case "08P01", "42P05": // a table has other columns than were described; a pooler gave us a session with our names
		return server.Routine == "exec_bind_message" || server.Code == "42P05"
	}
	return false
}

// execute runs what has neither parameters nor rows.
func execute(ctx context.Context, conn *pgconn.PgConn, sql string) error {
	_, err := conn.Exec(ctx, sql).ReadAll()
	return err
}

// rollback ends a transaction, also when the context of what was done in it has ended.
func rollback(ctx context.Context, conn *pgconn.PgConn) error {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), pool.CloseWait)
	defer cancel()
	return execute(limit, conn, "rollback")
}

// location is the session's time zone.
func (s *statements) location(conn *pgconn.PgConn) *time.Location {
	name := conn.ParameterStatus("TimeZone")
	if s.zone == nil || s.zoneFor != name {
		zone, err := time.LoadLocation(name)
		if err != nil {
			zone = time.UTC // a POSIX rule in place of a name: the point in time is still right
		}
		s.zone, s.zoneFor = zone, name
	}
	return s.zone
}
