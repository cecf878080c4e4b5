// Package probe asks the servers that a service depends on whether they are there.
// Each probe keeps what it needs between two checks; none of its errors hold a secret.
package probe

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"envoxyd/internal/httpget"
)

// Probe checks one server. Check is called by one goroutine at a time and returns
// within the context's time; nil: the server answers. Close ends what is kept.
type Probe interface {
	Check(ctx context.Context) error
	Close()
}

// TCP is there when it accepts a connection. Network is "tcp" unless it says "unix".
type TCP struct{ Network, Address string }

// Check connects and disconnects.
func (p TCP) Check(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, cmp.Or(p.Network, "tcp"), p.Address)
	if err != nil {
		return plain(err)
	}
	return conn.Close()
}

// Close does nothing.
func (TCP) Close() {}

// Redis answers a PING, after AUTH if there is a password. Address is host:port, or a
// path with Network "unix"; TLS, when it is not nil, is spoken.
type Redis struct {
	Network, Address, User, Password string
	TLS                              *tls.Config
}

// Check speaks RESP2 on a connection of its own.
func (p Redis) Check(ctx context.Context) error {
	var dialer net.Dialer
	network := p.Network
	if network == "" {
		network = "tcp"
	}
	conn, err := dialer.DialContext(ctx, network, p.Address)
	if err != nil {
		return plain(err)
	}
	defer conn.Close()
	if p.TLS != nil {
		conn = tls.Client(conn, p.TLS)
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // the read fails then, at the latest
	}
	in := bufio.NewReader(conn)
	if p.Password != "" {
		words := []string{"AUTH", p.Password}
		if p.User != "" {
			words = []string{"AUTH", p.User, p.Password}
		}
		if err := redisCommand(conn, in, words...); err != nil {
			return err
		}
	}
	return redisCommand(conn, in, "PING")
}

func redisCommand(conn net.Conn, in *bufio.Reader, words ...string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := conn.Write([]byte(text.String())); err != nil {
		return plain(err)
	}
	line, err := in.ReadString('\n')
	if err != nil {
		return plain(err)
	}
	if !strings.HasPrefix(line, "+") {
		return errors.New(strings.TrimSpace(strings.TrimPrefix(line, "-")))
	}
	return nil
}

// Close does nothing.
func (Redis) Close() {}

// HTTP answers a GET with a status below 500.
type HTTP struct{ URL, User, Password string }

// Check asks for the root.
func (p HTTP) Check(ctx context.Context) error {
	reply, err := httpget.Get(ctx, httpget.Request{URL: p.URL, User: p.User, Password: p.Password})
	if errors.Is(err, httpget.ErrURL) {
		return errors.New("its URL cannot be used")
	}
	if err != nil {
		return plain(err)
	}
	if reply.Status >= 500 {
		return fmt.Errorf("it answers with status %d", reply.Status)
	}
	return nil
}

// Close does nothing.
func (HTTP) Close() {}

// PostgreSQL answers a query on a connection that is kept from one check to the next.
type PostgreSQL struct {
	Config *pgx.ConnConfig
	conn   *pgx.Conn
}

// Check queries; a kept connection that has ended is made again.
func (p *PostgreSQL) Check(ctx context.Context) error {
	for {
		fresh := p.conn == nil
		if fresh {
			conn, err := pgx.ConnectConfig(ctx, p.Config)
			if err != nil {
				return plain(err)
			}
			p.conn = conn
		}
		err := p.conn.Ping(ctx)
		if err == nil {
			return nil
		}
		p.Close()
		if fresh || ctx.Err() != nil {
			return plain(err)
		}
	}
}

// closeTime bounds the closing of a connection.
const closeTime = time.Second

// Close ends the kept connection.
func (p *PostgreSQL) Close() {
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = p.conn.Close(ctx) // it is of no more use in any case
	p.conn = nil
}

// plain is an error's innermost reason, which names neither logins nor URLs.
func plain(err error) error {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return fmt.Errorf("%s (%s)", server.Message, server.Code)
	}
	var operation *net.OpError
	if errors.As(err, &operation) {
		err = operation.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}
