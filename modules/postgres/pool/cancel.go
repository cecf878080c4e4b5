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

// cancelOnServer has pgx send a cancel request when the context of a statement ends. The connection lives on.
func cancelOnServer(conn *pgconn.PgConn) ctxwatch.Handler {
	return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelTime}
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
