// Package pool holds connections to the servers of psql_servers: it reads a section, connects,
// bounds how many there are, and lends them. What is done with a connection is others' business.
package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"envoxyd/modules/postgres/problem"
)

// Server is one entry of psql_servers with its connections.
type Server struct {
	*Config
	connections *pgxpool.Pool
	figures     Figures
}

// Open makes the pool; it connects to nothing yet.
func Open(c *Config, figures Figures) (*Server, error) {
	s := &Server{Config: c, figures: figures}
	prepare := c.Pool.AfterConnect
	c.Pool.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if prepare != nil {
			if err := prepare(ctx, conn); err != nil {
				return err
			}
		}
		figures.Opened.Add(1)
		figures.Open.Add(1)
		return nil
	}
	c.Pool.BeforeClose = func(*pgx.Conn) { figures.Open.Add(-1) }
	var err error
	if s.connections, err = pgxpool.NewWithConfig(context.Background(), c.Pool); err != nil {
		return nil, fmt.Errorf("%w: %s", problem.ErrConfiguration, c.Place)
	}
	figures.Limit.Add(int64(c.Pool.MaxConns))
	return s, nil
}

// CloseWait is how long the end of connections in use is waited for.
const CloseWait = 2 * time.Second

// Close ends all connections in good order; one that is in use is not waited for very long.
func (s *Server) Close() {
	s.figures.Limit.Add(-int64(s.Pool.MaxConns))
	done := make(chan struct{})
	go func() { // ends with the pool, or with the process that is about to end
		s.connections.Close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(CloseWait):
	}
}

// Stat tells how many connections there are, and how many are in use.
func (s *Server) Stat() *pgxpool.Stat { return s.connections.Stat() }

// Acquire lends a connection, a new one if it may; its Release gives it back.
func (s *Server) Acquire(ctx context.Context) (*Conn, error) {
	limit, cancel := context.WithTimeout(ctx, s.Wait+s.Pool.ConnConfig.ConnectTimeout)
	defer cancel()
	waiting := limit
	if s.connections.Stat().AcquiredConns() >= s.Pool.MaxConns {
		var stop context.CancelFunc
		waiting, stop = context.WithTimeout(limit, s.Wait)
		defer stop()
		s.figures.Waiting.Add(1)
		defer s.figures.waited(time.Now())
	}
	conn, err := s.connections.Acquire(waiting)
	if err == nil {
		s.figures.Acquired.Add(1)
		s.figures.InUse.Add(1)
		return &Conn{conn.Conn(), conn, &s.figures}, nil
	}
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && s.connections.Stat().ConstructingConns() == 0 {
		s.figures.TimedOut.Add(1)
		return nil, &problem.Problem{Message: fmt.Sprintf("%s: Timeout waiting for DB connection: all %d are in use (max_conn)", s.Place, s.Pool.MaxConns)}
	}
	return nil, err
}

// Retire ends a session that is not as a new one would be; the pool does not take it back.
func Retire(conn *pgconn.PgConn) {
	limit, cancel := context.WithTimeout(context.Background(), CloseWait)
	defer cancel()
	_ = conn.Close(limit) // it is given up in any case
}
