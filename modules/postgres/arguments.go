package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"envoxyd/modules/postgres/problem"
	"envoxyd/modules/postgres/types"
	"envoxyd/protocol/marshal"
)

var encoders = sync.Pool{New: func() any { return new(types.Encoder) }}

// arguments are an operation's; the first that is not as it should be is kept as err.
type arguments struct {
	given marshal.Tuple
	err   error
}

func (a *arguments) at(i int) any {
	if i >= len(a.given) {
		a.err = fmt.Errorf("argument %d is missing", i)
		return nil
	}
	return a.given[i]
}

func (a *arguments) text(i int) string {
	value, ok := a.at(i).(string)
	if !ok && a.err == nil {
		a.err = fmt.Errorf("argument %d is not text", i)
	}
	return value
}

func (a *arguments) bytes(i int) []byte {
	value, ok := a.at(i).(marshal.Bytes)
	if !ok && a.err == nil {
		a.err = fmt.Errorf("argument %d is not bytes", i)
	}
	return value
}

func (a *arguments) number(i int) int64 {
	value, ok := a.at(i).(int64)
	if !ok && a.err == nil {
		a.err = fmt.Errorf("argument %d is not a number", i)
	}
	return value
}

// problemOf is any error of a call as Python gets it.
func problemOf(ctx context.Context, err error, place string) *problem.Problem {
	p := problem.Of(err, place)
	if cause := context.Cause(ctx); cause != nil && (p.SQLState == "" || p.SQLState == queryCanceled) {
		p.Message, p.SQLState = place+": cancelled: "+cause.Error(), queryCanceled
		p.Lost = p.Lost && !pgconn.SafeToRetry(err) && err != ctx.Err() // before anything was sent, or waiting for a connection
	}
	return p
}

const queryCanceled = "57014" // the server's code for it

// refusal is the reply in place of rows: (None, (message, sqlstate, detail, hint, schema, table, column, constraint, lost)).
func refusal(p *problem.Problem) []byte {
	out := marshal.AppendTuple(marshal.AppendNone(marshal.AppendTuple(nil, 2)), 9)
	for _, text := range []string{p.Message, p.SQLState, p.Detail, p.Hint, p.Schema, p.Table, p.Column, p.Constraint} {
		out = marshal.AppendText(out, text)
	}
	return marshal.AppendBool(out, p.Lost)
}
