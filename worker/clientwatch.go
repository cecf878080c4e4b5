package worker

import (
	"errors"
	"io"
	"os"
	"time"
)

// clientWatch notices during an errand that its client closes the connection. What the client sends meanwhile is
// kept for later.
type clientWatch struct {
	e       *errand
	gone    chan struct{} // closed when the client has gone
	stopped chan struct{} // closed when the goroutine has ended; nil: it was not started

	// of the goroutine, until it has ended
	more       []byte
	halfClosed bool // the client has said its last, but may read
}

const (
	// mostAhead is how much of further requests is kept. More than that is not read, and a client that leaves is not
	// noticed any more before something is sent to it.
	mostAhead = 64 << 10
	// saidAtOnce: a client that ends its side within that time of its request has said all; one that does so later leaves.
	saidAtOnce = time.Second
)

// start begins to watch the client of e.
func (c *clientWatch) start(e *errand) {
	c.e, c.gone, c.stopped = e, make(chan struct{}), make(chan struct{})
	go c.watch() // stop ends it and waits for it
}

// stop ends the watch; it must be called before what the client has sent is looked at.
func (c *clientWatch) stop() {
	if c.stopped != nil {
		_ = c.e.stream.SetReadDeadline(time.Unix(1, 0))
		<-c.stopped
	}
}

// left tells whether the client has gone.
func (c *clientWatch) left() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

func (c *clientWatch) watch() {
	defer close(c.stopped)
	room := make([]byte, 4096)
	for len(c.more) < mostAhead {
		n, err := c.e.stream.Read(room)
		c.more = append(c.more, room[:n]...)
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case errors.Is(err, io.EOF) && time.Since(c.e.began) < saidAtOnce:
			c.halfClosed = true
			return
		default:
			close(c.gone)
			c.e.by.wake()
			return
		}
	}
}
