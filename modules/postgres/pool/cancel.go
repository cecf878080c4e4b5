package pool

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// cancelTime is how long a server may take to end a statement that is cancelled; then the connection is given up.
const cancelTime = 5 * time.Second

// settleTime is how long a cancel request that the server has taken may need to reach the session, which must not be in
// another statement by then.
const settleTime = 100 * time.Millisecond

// cancelOnServer has pgx send a cancel request when the context of a statement ends. The connection lives on.
func cancelOnServer(conn *pgconn.PgConn) ctxwatch.Handler { return &canceller{conn: conn} }

// canceller is pgx's CancelRequestContextWatcherHandler, but for one thing: a request that is under way is finished, also when
// the statement has ended meanwhile. PgBouncer 1.18 aborts when its sender has gone.
type canceller struct {
	conn *pgconn.PgConn
	done chan struct{}
}

// HandleCancel is called when the context has ended.
func (c *canceller) HandleCancel(context.Context) {
	done, late := make(chan struct{}), time.Now().Add(cancelTime)
	c.done = done
	_ = c.conn.Conn().SetDeadline(late) // on a connection that has ended there is nothing to wait for
	go func() {                         // HandleUnwatchAfterCancel waits for it
		defer close(done)
		ctx, cancel := context.WithDeadline(context.Background(), late)
		defer cancel()
		if c.conn.CancelRequest(ctx) == nil { // else the deadline ends the statement
			time.Sleep(settleTime)
		}
	}()
}

// HandleUnwatchAfterCancel is called when the statement has ended, after that.
func (c *canceller) HandleUnwatchAfterCancel() {
	<-c.done
	_ = c.conn.Conn().SetDeadline(time.Time{})
}

// checkClients is the first version (14) that can look, while a statement runs, whether its client is still there.
const checkClients = 140000

// noticeOurEnd has the server end a statement soon after this process has died without a word (kill -9).
func noticeOurEnd(ctx context.Context, conn *pgx.Conn) error {
	if versionOf(conn.PgConn().ParameterStatus("server_version")) < checkClients {
		return nil
	}
	// Some systems' servers cannot: the statement goes on there, as it did before.
	_, err := conn.PgConn().Exec(ctx, "set client_connection_check_interval = '2s'").ReadAll()
	if err != nil && conn.IsClosed() {
		return fmt.Errorf("setting up the session: %w", err)
	}
	return nil
}

// versionOf is "15.4 (Debian …)" as 150000; 0: it is not to be read.
func versionOf(text string) int {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	major, err := strconv.Atoi(text[:end])
	if err != nil {
		return 0
	}
	return major * 10000
}
