package relay

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"envoxyd/internal/stream"
)

// bufferSize is how much is passed on at a time.
const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// Buffer returns 32 KiB of memory, and what gives them back.
func Buffer() (b []byte, free func()) {
	p := buffers.Get().(*[]byte)
	return *p, func() { buffers.Put(p) }
}

// Activity is when bytes have last moved, whichever the way. Its zero value: never.
type Activity struct{ at atomic.Int64 }

// Note notes that some have.
func (a *Activity) Note() { a.at.Store(time.Now().UnixNano()) }

// Within tells whether some have within the last d.
func (a *Activity) Within(d time.Duration) bool { return time.Now().UnixNano()-a.at.Load() < int64(d) }

// Copy passes bytes on until from ends, whose error it returns; nil at the end. A wait for bytes counts as too long
// when nothing has moved anywhere meanwhile. n: bytes that to has got.
func Copy(to, from *stream.Conn, timeout time.Duration, activity *Activity) (n int64, err error) {
	for {
		if err := from.WaitReadableFor(timeout); err != nil { // without a buffer: a tunnel may be idle for long
			if errors.Is(err, os.ErrDeadlineExceeded) && activity.Within(timeout) {
				continue
			}
			return n, err
		}
		more, done, err := copyOnce(to, from, timeout)
		n += more
		if done {
			return n, err
		}
		activity.Note()
	}
}

func copyOnce(to, from *stream.Conn, timeout time.Duration) (n int64, done bool, err error) {
	b, free := Buffer()
	defer free()
	got, err := from.Read(b)
	if got == 0 {
		if isEnd(err) {
			err = nil
		}
		return 0, true, err
	}
	to.WriteTimeout(timeout)
	written, err := to.Write(b[:got])
	return int64(written), err != nil, err
}

// Tunnel passes bytes on in both directions until the node has ended, or one of them has failed, or nothing moves for
// the timeout. It returns how many went to the node and came from it.
func Tunnel(client, node *stream.Conn, timeout time.Duration) (received, sent int64) {
	var activity Activity
	activity.Note()
	var up sync.WaitGroup
	up.Go(func() {
		var err error
		received, err = Copy(node, client, timeout, &activity)
		if err != nil {
			node.Wake() // the other direction is given up with this one
			return
		}
		node.CloseWrite()
	})
	sent, _ = Copy(client, node, timeout, &activity) // whatever ended it, it is over
	client.Wake()
	up.Wait()
	return received, sent
}

// isEnd tells whether a read has met the end of what the other side sends.
func isEnd(err error) bool { return errors.Is(err, io.EOF) || err == nil }
