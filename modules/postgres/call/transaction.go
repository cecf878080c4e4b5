package call

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"envoxyd/modules/postgres/pool"
	"envoxyd/modules/postgres/problem"
	"envoxyd/modules/postgres/types"
)

// Transaction is one that is open: a connection that only its statements use.
type Transaction struct {
	mutex  sync.Mutex
	server *pool.Server
	conn   *pool.Conn
	over   bool
	retire bool // its session was changed
}

// Begin opens a transaction.
func Begin(ctx context.Context, s *pool.Server) (*Transaction, error) {
	for attempt := 0; ; attempt++ {
		conn, err := s.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		err = execute(ctx, conn.PgConn(), "begin"+s.Prologue())
		if err == nil {
			return &Transaction{server: s, conn: conn}, nil
		}
		conn.Release()
		if attempt > 0 || ctx.Err() != nil || !pgconn.SafeToRetry(err) {
			return nil, err
		}
	}
}

// Place names the transaction's server.
func (t *Transaction) Place() string { return t.server.Place }

// errBusy: a signal's handler may run while its thread waits for a statement.
var errBusy = fmt.Errorf("%w: the transaction is busy with another statement", problem.ErrUsage)

// Query runs one statement. Nothing is tried again here: what went before would be lost.
func (t *Transaction) Query(ctx context.Context, e *types.Encoder, text *Template, params any) ([]byte, error) {
	if !t.mutex.TryLock() {
		return nil, errBusy
	}
	defer t.mutex.Unlock()
	if t.over {
		return nil, fmt.Errorf("%w: the transaction is over", problem.ErrUsage)
	}
	t.retire = t.retire || text.session
	return run(ctx, t.server, e, t.conn.PgConn(), text, params)
}

// End commits or rolls back; the connection goes back to its pool in either case.
func (t *Transaction) End(ctx context.Context, commit bool) error {
	if !t.mutex.TryLock() {
		return errBusy
	}
	defer t.mutex.Unlock()
	return t.end(ctx, commit)
}

// Abandon rolls back when the statement in hand has ended, if there is one.
func (t *Transaction) Abandon() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	_ = t.end(context.Background(), false) // the server rolls back, too, when the connection goes
}

func (t *Transaction) end(ctx context.Context, commit bool) error {
	if t.over {
		return nil
	}
	t.over = true
	defer t.conn.Release()
	pg := t.conn.PgConn()
	if t.retire && !t.server.Pooled() {
		defer pool.Retire(pg)
	}
	if pg.IsClosed() {
		return &problem.Problem{Message: t.server.Place + ": the connection was lost: the transaction is rolled back", Lost: true}
	}
	if !commit {
		return rollback(ctx, pg)
	}
	results, err := pg.Exec(ctx, "commit").ReadAll()
	if err != nil {
		return err
	}
	if len(results) == 1 && results[0].CommandTag.String() == "ROLLBACK" {
		return &problem.Problem{Message: "the transaction was rolled back, not committed: a statement in it had failed", SQLState: "25P02"}
	}
	return nil
}
