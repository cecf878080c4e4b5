package pool

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
)

// Interrupt is what a thread that waits for a server is woken for.
type Interrupt struct {
	FD     int         // readable: there is something
	Handle func() bool // sees to it, on the thread that waits; true: nothing more will come for this call
}

type interruptKey struct{}

// WithInterrupt has calls with this context be woken. Only one thread at a time may make them.
func WithInterrupt(ctx context.Context, i *Interrupt) context.Context {
	return context.WithValue(ctx, interruptKey{}, i)
}

// Attend has a connection's waiting be interrupted as ctx says, until the returned function is called.
func Attend(ctx context.Context, conn *pgconn.PgConn) (done func()) {
	i, _ := ctx.Value(interruptKey{}).(*Interrupt)
	s := of(conn)
	if i == nil || s == nil {
		return func() {}
	}
	s.interrupt.Store(i)
	return func() { s.interrupt.Store(nil) }
}
