package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// server is one entry of psql_servers with its connections.
type server struct {
	*settings
	connections *pgxpool.Pool
}

func openServer(s *settings) (*server, error) {
	connections, err := pgxpool.NewWithConfig(context.Background(), s.pool) // connects to nothing yet
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrConfiguration, s.place)
	}
	return &server{settings: s, connections: connections}, nil
}

// closeWait is how long close waits for connections that are in use.
const closeWait = 2 * time.Second

// close ends all connections in good order; one that is in use is not waited for very long.
func (s *server) close() {
	done := make(chan struct{})
	go func() { // ends with the pool, or with the process that is about to end
		s.connections.Close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(closeWait):
	}
}

func (s *server) acquire() (*pgxpool.Conn, error) {
	limit, cancel := context.WithTimeout(context.Background(), s.wait+s.pool.ConnConfig.ConnectTimeout)
	defer cancel()
	waiting := limit
	if s.connections.Stat().AcquiredConns() >= s.pool.MaxConns {
		var stop context.CancelFunc
		waiting, stop = context.WithTimeout(limit, s.wait)
		defer stop()
	}
	conn, err := s.connections.Acquire(waiting)
	if err == nil {
		return conn, nil
	}
	if errors.Is(err, context.DeadlineExceeded) && s.connections.Stat().ConstructingConns() == 0 {
		return nil, &Problem{Message: fmt.Sprintf("%s: Timeout waiting for DB connection: all %d are in use (max_conn)", s.place, s.pool.MaxConns)}
	}
	return nil, err
}

// query runs one statement of its own, and commits it. It is tried again, once, if the
// server cannot have executed anything.
func (s *server) query(e *encoder, t *template, params any) ([]byte, error) {
	for attempt := 0; ; attempt++ {
		reply, err := s.queryOnce(e, t, params)
		if err == nil || attempt > 0 || !pgconn.SafeToRetry(err) && !stale(err) {
			return reply, err
		}
	}
}

func (s *server) queryOnce(e *encoder, t *template, params any) ([]byte, error) {
	conn, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	pg := conn.Conn().PgConn()
	if t.session && !s.pooled() {
		defer retire(pg)
	}
	prologue := s.prologue()
	if prologue != "" && !standsAlone[t.first] {
		if err := execute(pg, "begin"+prologue); err != nil {
			return nil, err
		}
		reply, err := s.run(e, pg, t, params)
		if err != nil {
			return nil, errors.Join(err, ignoreLost(execute(pg, "rollback")))
		}
		return reply, execute(pg, "commit")
	}
	return s.run(e, pg, t, params)
}

// retire ends a session that is not as a new one would be; the pool does not take it back.
func retire(conn *pgconn.PgConn) {
	limit, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	_ = conn.Close(limit) // it is given up in any case
}

// standsAlone are statements that PostgreSQL refuses inside a transaction.
var standsAlone = map[string]bool{"vacuum": true, "reindex": true, "cluster": true, "begin": true, "commit": true, "rollback": true}

// ignoreLost leaves out an error that only says once more that the connection is gone.
func ignoreLost(err error) error {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return err
	}
	return nil
}

// run executes on one connection and makes the reply, which is the encoder's.
func (s *server) run(e *encoder, conn *pgconn.PgConn, t *template, params any) ([]byte, error) {
	known := statementsOf(conn)
	e.zone = known.location(conn)
	if t.simple || s.mode == pgx.QueryExecModeSimpleProtocol {
		b, err := t.bind(params, true)
		if err != nil {
			return nil, err
		}
		return e.simple(conn, b.text)
	}
	b, err := t.bind(params, false)
	if err != nil {
		return nil, err
	}
	values, formats, oids := b.wire()
	if s.mode == pgx.QueryExecModeExec {
		result := conn.ExecParams(context.Background(), b.text, values, oids, formats, nil)
		return e.reply(result, columnsFor(result.FieldDescriptions(), make([]int16, len(result.FieldDescriptions()))))
	}
	// Text that holds its values is a new statement each time: not worth keeping.
	named := s.mode == pgx.QueryExecModeCacheStatement && !t.inline
	one, err := known.prepared(conn, b, named)
	if err != nil {
		return nil, err
	}
	if !named && (t.inline || s.mode == pgx.QueryExecModeDescribeExec) {
		known.forget(b)
	}
	var result *pgconn.ResultReader
	if named {
		result = conn.ExecStatement(context.Background(), one.description, values, formats, one.formats)
	} else {
		result = conn.ExecParams(context.Background(), b.text, values, one.description.ParamOIDs, formats, one.formats)
	}
	columns, same := one.columnsOf(result.FieldDescriptions())
	reply, err := e.reply(result, columns)
	if !same || stale(err) {
		known.forget(b)
	}
	return reply, err
}

// wire is a statement's values as the protocol takes them.
func (b *bound) wire() (values [][]byte, formats []int16, oids []uint32) {
	values, formats, oids = make([][]byte, len(b.args)), make([]int16, len(b.args)), make([]uint32, len(b.args))
	for i, arg := range b.args {
		values[i], oids[i] = arg.value, arg.oid
		if arg.binary {
			formats[i] = pgx.BinaryFormatCode
		}
	}
	return values, formats, oids
}

// columnsOf is the plan for the columns that came; they may differ from what was described.
func (one *statement) columnsOf(came []pgconn.FieldDescription) (columns []column, same bool) {
	same = len(came) == len(one.columns)
	for i := 0; same && i < len(came); i++ {
		same = came[i].DataTypeOID == one.description.Fields[i].DataTypeOID && came[i].Name == one.columns[i].name
	}
	if same {
		return one.columns, true
	}
	formats := make([]int16, len(came))
	for i := range came {
		formats[i] = came[i].Format
	}
	return columnsFor(came, formats), false
}

// reply reads a result to its end.
func (e *encoder) reply(result *pgconn.ResultReader, columns []column) ([]byte, error) {
	failed := e.rows(result, columns)
	if _, err := result.Close(); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, &Problem{Message: "a result cannot be handed to Python: " + failed.Error()}
	}
	return e.finish(columns), nil
}

// simple runs one or several statements; the last one's rows count.
func (e *encoder) simple(conn *pgconn.PgConn, text string) ([]byte, error) {
	results := conn.Exec(context.Background(), text)
	var reply []byte
	var failed error
	for results.NextResult() {
		result := results.ResultReader()
		fields := result.FieldDescriptions()
		columns := columnsFor(fields, make([]int16, len(fields)))
		if err := e.rows(result, columns); err != nil && failed == nil {
			failed = &Problem{Message: "a result cannot be handed to Python: " + err.Error()}
		}
		if _, err := result.Close(); err != nil {
			break // results.Close has it too
		}
		reply = e.finish(columns)
	}
	if err := results.Close(); err != nil {
		return nil, err
	}
	return reply, failed
}
