package pool

import (
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Figures is where a pool says how it is doing. Several may have the same.
type Figures struct {
	Open    *atomic.Int64 // connections now
	InUse   *atomic.Int64 // of these, lent
	Waiting *atomic.Int64 // calls that wait for one, as all are in use
	Limit   *atomic.Int64 // connections that may be open

	Opened     *atomic.Uint64 // connections so far
	Acquired   *atomic.Uint64 // times that one was lent
	Waited     *atomic.Uint64 // of these, after a wait
	WaitMicros *atomic.Uint64 // of all waits
	TimedOut   *atomic.Uint64 // waits that were in vain
}

// Unread are figures that nobody reads.
func Unread() Figures {
	var now [4]atomic.Int64
	var counts [5]atomic.Uint64
	return Figures{&now[0], &now[1], &now[2], &now[3], &counts[0], &counts[1], &counts[2], &counts[3], &counts[4]}
}

// Conn is a connection that is lent.
type Conn struct {
	*pgx.Conn
	lent    *pgxpool.Conn
	figures *Figures
}

// Release gives it back. It may be called once.
func (c *Conn) Release() {
	c.lent.Release()
	c.figures.InUse.Add(-1)
}

// waited ends a wait that began then.
func (f *Figures) waited(began time.Time) {
	f.Waiting.Add(-1)
	f.Waited.Add(1)
	f.WaitMicros.Add(uint64(time.Since(began).Microseconds()))
}
