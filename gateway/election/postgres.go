package election

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrPooled means that the connection is one that several clients share (pgbouncer in transaction mode), which keeps no lock for one.
var ErrPooled = errors.New("election: the connection to PostgreSQL is shared with others (a pool of transactions); a lock needs a direct one, or one of pgbouncer's session mode")

// Postgres is an advisory lock of PostgreSQL's, held by a session.
type Postgres struct {
	config *pgx.ConnConfig
	key    int64
	conn   *pgx.Conn
	pid    int    // of the server's process for the session
	token  string // in a setting of the session
	held   bool
	pooled bool // it was seen to be shared
}

// NewPostgres is a lock of that name. The connection is made by Hold.
func NewPostgres(config *pgx.ConnConfig, name string) *Postgres {
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // poolers know it
	config.RuntimeParams["application_name"] = "envoxyd timers"
	sum := sha256.Sum256([]byte(name))
	return &Postgres{config: config, key: int64(binary.BigEndian.Uint64(sum[:]))}
}

// The server ends the session of a machine that has died after this time, and with it the lock. Those that a server does not
// have are left out.
var sessionEnds = []string{"set idle_session_timeout = '8s'", "set tcp_keepalives_idle = 4", "set tcp_keepalives_interval = 2", "set tcp_keepalives_count = 2"}

// Hold implements Lock.
func (p *Postgres) Hold(ctx context.Context) (Grant, error) {
	grant, err := p.hold(ctx)
	if err != nil {
		p.Close()
		return Grant{}, err
	}
	return grant, nil
}

func (p *Postgres) hold(ctx context.Context) (Grant, error) {
	if p.pooled {
		return Grant{}, ErrPooled
	}
	if p.conn == nil {
		if err := p.connect(ctx); err != nil {
			return Grant{}, fmt.Errorf("election: PostgreSQL: %w", err)
		}
	}
	query := "select pg_backend_pid(), current_setting('envoxyd.session', true), true, clock_timestamp()"
	args := []any{}
	if !p.held {
		query, args = "select pg_backend_pid(), current_setting('envoxyd.session', true), pg_try_advisory_lock($1), clock_timestamp()", []any{p.key}
	}
	var pid int
	var token *string
	var held bool
	var now time.Time
	if err := p.conn.QueryRow(ctx, query, args...).Scan(&pid, &token, &held, &now); err != nil {
		return Grant{}, fmt.Errorf("election: PostgreSQL: %w", err)
	}
	if pid != p.pid || token == nil || *token != p.token {
		p.pooled = true
		return Grant{}, ErrPooled
	}
	grant := Grant{Now: now, Held: held, New: held && !p.held}
	p.held = held
	return grant, nil
}

func (p *Postgres) connect(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return err
	}
	p.conn, p.held = conn, false
	for _, setting := range sessionEnds {
		if _, err := conn.Exec(ctx, setting); err != nil && conn.IsClosed() {
			return err
		}
	}
	p.token = rand.Text()
	if err := conn.QueryRow(ctx, "select pg_backend_pid(), set_config('envoxyd.session', $1, false)", p.token).Scan(&p.pid, nil); err != nil {
		return err
	}
	// A pooler gives a second connection the server's process that the first one has left free.
	second, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return err
	}
	defer second.Close(ctx)
	var pid int
	if err := second.QueryRow(ctx, "select pg_backend_pid()").Scan(&pid); err != nil {
		return err
	}
	if p.pooled = pid == p.pid; p.pooled {
		return ErrPooled
	}
	return nil
}

// Close implements Lock: the lock ends with the session.
func (p *Postgres) Close() {
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), pollTimeout)
	defer cancel()
	_ = p.conn.Close(ctx)
	p.conn, p.held = nil, false
}
