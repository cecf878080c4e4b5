package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"envoxyd/protocol/marshal"
)

// queryPayload is what Python sends for a statement with one parameter.
func queryPayload(sql string, value int64) []byte {
	text := func(to []byte, value string) []byte {
		return append(binary.LittleEndian.AppendUint32(append(to, 'u'), uint32(len(value))), value...)
	}
	payload := text(marshal.AppendTuple(nil, 4), "main")
	return marshal.AppendInt(marshal.AppendList(text(marshal.AppendInt(payload, 0), sql), 1), value)
}

var benchmarked = map[string]string{
	"one value":    "select %s::int as n",
	"100 rows":     "select n, 'name ' || n as name, n * 1.5::float8 as size, n % 2 = 0 as even from generate_series(1, %s) n",
	"100 deferred": "select n, n::numeric / 4 as price, now() as seen from generate_series(1, %s) n",
}

// BenchmarkCall is a statement's way through all layers, with a server on the same machine.
func BenchmarkCall(b *testing.B) {
	p := startPrivate(b)
	s := New()
	b.Cleanup(s.Close)
	p.open(s, nil)
	for name, sql := range benchmarked {
		b.Run(name, func(b *testing.B) {
			payload := queryPayload(sql, 100)
			ctx, cancel := context.WithCancelCause(b.Context()) // as a worker's
			defer cancel(nil)
			b.ReportAllocs()
			for b.Loop() {
				size := 0
				if err := s.Call(ctx, opQuery, payload, func(reply []byte) { size = len(reply) }); err != nil || size < 20 {
					b.Fatal(size, err)
				}
			}
		})
	}
}

// BenchmarkPgx is what pgx's own statement cache and type map take for the same: why call and types have theirs.
func BenchmarkPgx(b *testing.B) {
	p := startPrivate(b)
	s := New()
	b.Cleanup(s.Close)
	p.open(s, nil)
	conn, err := s.servers["main"].Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Release()
	ctx, cancel := context.WithCancelCause(b.Context())
	defer cancel(nil)
	for _, decode := range []bool{false, true} {
		for name, sql := range benchmarked {
			sql = strings.ReplaceAll(sql, "%s", "$1")
			b.Run(fmt.Sprintf("%s, decoded %v", name, decode), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					rows, err := conn.Query(ctx, sql, int64(100))
					if err != nil {
						b.Fatal(err)
					}
					for rows.Next() {
						if decode {
							_, err = rows.Values()
						}
					}
					if rows.Close(); err != nil || rows.Err() != nil {
						b.Fatal(err, rows.Err())
					}
				}
			})
		}
	}
}
