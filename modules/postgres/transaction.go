package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// transaction is one that is open: a connection that only its statements use.
type transaction struct {
	mutex  sync.Mutex
	server *server
	conn   *pgxpool.Conn
	over   bool
	retire bool // its session was changed
}

func (s *server) begin() (*transaction, error) {
	for attempt := 0; ; attempt++ {
		conn, err := s.acquire()
		if err != nil {
			return nil, err
		}
		err = execute(conn.Conn().PgConn(), "begin"+s.prologue())
		if err == nil {
			return &transaction{server: s, conn: conn}, nil
		}
		conn.Release()
		if attempt > 0 || !pgconn.SafeToRetry(err) {
			return nil, err
		}
	}
}

// query runs one statement. Nothing is tried again here: what went before would be lost.
func (t *transaction) query(e *encoder, text *template, params any) ([]byte, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.over {
		return nil, fmt.Errorf("%w: the transaction is over", ErrUsage)
	}
	t.retire = t.retire || text.session
	return t.server.run(e, t.conn.Conn().PgConn(), text, params)
}

// end commits or rolls back; the connection goes back to its pool in either case.
func (t *transaction) end(commit bool) error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.over {
		return nil
	}
	t.over = true
	defer t.conn.Release()
	pg := t.conn.Conn().PgConn()
	if t.retire && !t.server.pooled() {
		defer retire(pg)
	}
	if pg.IsClosed() {
		return &Problem{Message: t.server.place + ": the connection was lost: the transaction is rolled back", Lost: true}
	}
	if !commit {
		return execute(pg, "rollback")
	}
	results, err := pg.Exec(context.Background(), "commit").ReadAll()
	if err != nil {
		return err
	}
	if len(results) == 1 && results[0].CommandTag.String() == "ROLLBACK" {
		return &Problem{Message: "the transaction was rolled back, not committed: a statement in it had failed", SQLState: "25P02"}
	}
	return nil
}
