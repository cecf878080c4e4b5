// Package call carries out statements on a pool's connections: parameters as Python writes
// them, prepared statements, transactions. A call ends with its context: what the server is
// doing for it is cancelled there.
package call

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"envoxyd/modules/postgres/pool"
	"envoxyd/modules/postgres/problem"
	"envoxyd/modules/postgres/types"
)

// Query runs one statement of its own, and commits it. It is tried again, once, if the
// server cannot have executed anything.
func Query(ctx context.Context, s *pool.Server, e *types.Encoder, t *Template, params any) ([]byte, error) {
	for attempt := 0; ; attempt++ {
		made, err := queryOnce(ctx, s, e, t, params)
		if err == nil || attempt > 0 || ctx.Err() != nil || !pgconn.SafeToRetry(err) && !stale(err) {
			return made, err
		}
	}
}

func queryOnce(ctx context.Context, s *pool.Server, e *types.Encoder, t *Template, params any) ([]byte, error) {
	conn, err := s.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	pg := conn.PgConn()
	if t.session && !s.Pooled() {
		defer pool.Retire(pg)
	}
	prologue := s.Prologue()
	if prologue != "" && !standsAlone[t.first] {
		if err := execute(ctx, pg, "begin"+prologue); err != nil {
			return nil, err
		}
		made, err := run(ctx, s, e, pg, t, params)
		if err != nil {
			return nil, errors.Join(err, ignoreLost(rollback(ctx, pg)))
		}
		return made, execute(ctx, pg, "commit")
	}
	return run(ctx, s, e, pg, t, params)
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
func run(ctx context.Context, s *pool.Server, e *types.Encoder, conn *pgconn.PgConn, t *Template, params any) ([]byte, error) {
	defer pool.Attend(ctx, conn)()
	known := statementsOf(conn)
	e.Zone = known.location(conn)
	if t.simple || s.Mode == pgx.QueryExecModeSimpleProtocol {
		b, err := t.bind(params, true)
		if err != nil {
			return nil, err
		}
		return simple(ctx, e, conn, b.text)
	}
	b, err := t.bind(params, false)
	if err != nil {
		return nil, err
	}
	values, formats, oids := b.wire()
	if s.Mode == pgx.QueryExecModeExec {
		result := conn.ExecParams(ctx, b.text, values, oids, formats, nil)
		return reply(e, result, types.ColumnsFor(result.FieldDescriptions(), make([]int16, len(result.FieldDescriptions()))))
	}
	// Text that holds its values is a new statement each time: not worth keeping.
	named := s.Mode == pgx.QueryExecModeCacheStatement && !t.inline
	one, err := known.prepared(ctx, conn, b, named)
	if err != nil {
		return nil, err
	}
	if !named && (t.inline || s.Mode == pgx.QueryExecModeDescribeExec) {
		known.forget(b)
	}
	var result *pgconn.ResultReader
	if named {
		result = conn.ExecStatement(ctx, one.description, values, formats, one.formats)
	} else {
		result = conn.ExecParams(ctx, b.text, values, one.description.ParamOIDs, formats, one.formats)
	}
	columns, same := one.columnsOf(result.FieldDescriptions())
	made, err := reply(e, result, columns)
	if !same || stale(err) {
		known.forget(b)
	}
	return made, err
}

// wire is a statement's values as the protocol takes them.
func (b *bound) wire() (values [][]byte, formats []int16, oids []uint32) {
	values, formats, oids = make([][]byte, len(b.args)), make([]int16, len(b.args)), make([]uint32, len(b.args))
	for i, arg := range b.args {
		values[i], oids[i] = arg.Value, arg.OID
		if arg.Binary {
			formats[i] = pgx.BinaryFormatCode
		}
	}
	return values, formats, oids
}

// columnsOf is the plan for the columns that came; they may differ from what was described.
func (one *statement) columnsOf(came []pgconn.FieldDescription) (columns []types.Column, same bool) {
	if types.Matches(one.columns, one.description.Fields, came) {
		return one.columns, true
	}
	formats := make([]int16, len(came))
	for i := range came {
		formats[i] = came[i].Format
	}
	return types.ColumnsFor(came, formats), false
}

// reply reads a result to its end.
func reply(e *types.Encoder, result *pgconn.ResultReader, columns []types.Column) ([]byte, error) {
	failed := e.Rows(result, columns)
	if _, err := result.Close(); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, &problem.Problem{Message: "a result cannot be handed to Python: " + failed.Error()}
	}
	return e.Finish(columns), nil
}

// simple runs one or several statements; the last one's rows count.
func simple(ctx context.Context, e *types.Encoder, conn *pgconn.PgConn, text string) ([]byte, error) {
	results := conn.Exec(ctx, text)
	var made []byte
	var failed error
	for results.NextResult() {
		result := results.ResultReader()
		fields := result.FieldDescriptions()
		columns := types.ColumnsFor(fields, make([]int16, len(fields)))
		if err := e.Rows(result, columns); err != nil && failed == nil {
			failed = &problem.Problem{Message: "a result cannot be handed to Python: " + err.Error()}
		}
		if _, err := result.Close(); err != nil {
			break // results.Close has it too
		}
		made = e.Finish(columns)
	}
	if err := results.Close(); err != nil {
		return nil, err
	}
	return made, failed
}
