// Package rows reads the rows of a query from PostgreSQL, again and again, on one connection that is kept meanwhile. It takes
// pgx's connection alone: values stay the text that the server sends.
package rows

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Row is a row's columns as the server writes them; nil is NULL.
type Row [][]byte

const (
	most      = 64 << 20    // bytes of all rows together
	goodbye   = time.Second // for a connection to be closed in good order
	cancelled = time.Second // for the server to hear that nobody waits for its answer any more
)

// Reader asks one query. One goroutine has it at a time.
type Reader struct {
	config *pgconn.Config
	query  string
	limit  time.Duration
	conn   *pgconn.PgConn     // nil: there is none
	cut    context.CancelFunc // closes the connection's sockets, whatever they are used for
}

// New makes a reader, which does not connect yet. A read takes no longer than the limit. Errors hold no password.
func New(connection, query string, limit time.Duration) (*Reader, error) {
	config, err := pgconn.ParseConfig(connection)
	if err != nil {
		return nil, explain(err)
	}
	for name, value := range map[string]string{"datestyle": "ISO", "application_name": "envoxyd emperor"} {
		if config.RuntimeParams[name] == "" {
			config.RuntimeParams[name] = value
		}
	}
	return &Reader{config: config, query: query, limit: limit}, nil
}

// Read returns all rows, connecting if need be. When it returns, nothing of it goes on.
func (r *Reader) Read(ctx context.Context) ([]Row, error) {
	limited, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	for {
		kept := r.conn != nil
		err := r.connect(limited)
		if err != nil {
			return nil, r.plain(limited, err)
		}
		found, err := r.ask(limited)
		if err == nil {
			return found, nil
		}
		lost := r.conn.IsClosed()
		err = r.plain(limited, err)
		if lost {
			r.drop(ctx)
		}
		if !kept || !lost || limited.Err() != nil { // a connection that was kept may have ended long ago
			return nil, err
		}
	}
}

func (r *Reader) connect(ctx context.Context) (err error) {
	if r.conn != nil {
		return nil
	}
	life, cut := context.WithCancel(context.Background())
	config := r.config.Copy()
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		conn, err := r.config.DialFunc(ctx, network, address)
		if err == nil {
			context.AfterFunc(life, func() { conn.Close() })
		}
		return conn, err
	}
	if r.conn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		cut()
		return err
	}
	r.cut = cut
	return nil
}

// ask sends the query as it is: of several statements the last one with rows counts, as in libpq.
func (r *Reader) ask(ctx context.Context) (found []Row, err error) {
	size := 0
	results := r.conn.Exec(ctx, r.query)
	for results.NextResult() {
		result := results.ResultReader()
		if len(result.FieldDescriptions()) == 0 {
			continue
		}
		found = nil
		for result.NextRow() {
			row := make(Row, len(result.Values()))
			for i, value := range result.Values() {
				row[i] = slices.Clone(value) // NULL stays nil
				size += len(value)
			}
			if size > most {
				r.cut()
				continue // which is the last one
			}
			found = append(found, row)
		}
	}
	err = results.Close()
	if size > most {
		err = fmt.Errorf("the rows have more than %d bytes", most)
	}
	return found, err
}

// drop ends a connection that is of no more use, and waits until nothing uses it.
func (r *Reader) drop(ctx context.Context) {
	timer := time.NewTimer(cancelled)
	defer timer.Stop()
	select { // pgx has the server cancel the query
	case <-r.conn.CleanupDone():
	case <-timer.C:
	case <-ctx.Done():
	}
	r.cut()
	<-r.conn.CleanupDone()
	r.conn = nil
}

// Close ends the connection.
func (r *Reader) Close() {
	if r.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = r.conn.Close(ctx) // it is of no more use in any case
	r.drop(ctx)
}

// plain is an error's innermost reason. It is the same text each time for the same reason: no ports of ours are in it.
func (r *Reader) plain(ctx context.Context, err error) error {
	var server *pgconn.PgError
	var lookup *net.DNSError
	var operation *net.OpError
	switch {
	case errors.As(err, &server):
		return fmt.Errorf("%s (SQLSTATE %s)", server.Message, server.Code)
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v", r.limit)
	case errors.As(err, &lookup):
		return fmt.Errorf("there is no address of %s", lookup.Name)
	case errors.As(err, &operation) && operation.Addr != nil:
		return fmt.Errorf("%s %v: %w", operation.Op, operation.Addr, operation.Err)
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return connect.Unwrap()
	}
	return err
}

// explain is a connection string's error without the string, nor what may be a part of it.
func explain(err error) error {
	var parse *pgconn.ParseConfigError
	if !errors.As(err, &parse) {
		return err
	}
	parse.ConnString = ""
	text := strings.TrimPrefix(parse.Error(), "cannot parse ``: ")
	if strings.HasPrefix(text, "failed to parse as ") {
		text, _, _ = strings.Cut(text, " (")
	}
	return errors.New(text)
}
