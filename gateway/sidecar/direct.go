package sidecar

import (
	"bufio"
	"context"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
)

// Direct is a request that one goroutine sends and whose answer it takes without ever waiting: it
// watches FD itself. That saves what Deliver needs, a switch to another goroutine's thread and back.
type Direct struct {
	target *Target
	link   *link
}

// What Take has found.
const (
	Again = iota // nothing has come: to be watched again
	Rest         // only a part: Finish waits for the rest
	Done
)

// Direct sends a request to a worker of the serving generation as soon as one may be idle, and then calls
// then; nil: that is not possible without waiting, and Deliver is to be used. Both happen at once, or later
// by post, which has a function called where the answer is to be taken.
func (w *Workers) Direct(ctx context.Context, post func(func()) bool, ends byte, vars, body []byte, then func(*Direct)) {
	w.mu.Lock()
	t := w.target
	w.mu.Unlock()
	packet, err := makePacket(ends, vars, body)
	if t == nil || err != nil || len(packet) > inlinePacket {
		then(nil)
		return
	}
	begin := func(got place) {
		if got.closed {
			then(nil)
			return
		}
		then(t.beginDirect(ctx, got.l, packet))
	}
	if got, waits := t.request(func(later place) { post(func() { begin(later) }) }); waits == nil {
		begin(got)
	}
}

// beginDirect sends a packet over a connection that a worker has kept, or a new one.
func (t *Target) beginDirect(ctx context.Context, l *link, packet []byte) *Direct {
	if l != nil && (ctx.Err() != nil || !l.detach() || !l.trySend(packet)) { // mostly, the worker has closed it
		l.close()
		l = nil
	}
	if l == nil && ctx.Err() == nil {
		l = t.openDirect(packet)
	}
	if l == nil {
		t.put(nil)
		return nil
	}
	return &Direct{t, l}
}

// openDirect is open without waiting; nil: the handover socket is full.
func (t *Target) openDirect(packet []byte) *link {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(pair[1])
	l := newLink(pair[0])
	if !l.trySend(packet) || t.tryPass(pair[1]) != nil {
		l.close()
		return nil
	}
	return l
}

// trySend sends all of a packet, or the connection cannot be used any more.
func (l *link) trySend(packet []byte) bool {
	n, err := unix.SendmsgN(l.fd, packet, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return err == nil && n == len(packet)
}

// FD is the descriptor to watch.
func (d *Direct) FD() int { return d.link.fd }

// Take takes what has come. If whole says that it is all of the answer, read takes that. The error,
// with Done, is Deliver's.
func (d *Direct) Take(ctx context.Context, whole func([]byte) bool, read func(*bufio.Reader) error) (state int, err error) {
	l := d.link
	_, err = l.in.Peek(l.in.Buffered() + 1)
	switch {
	case errors.Is(err, errAgain):
		return Again, nil
	case err != nil && l.in.Buffered() > 0:
		return Rest, nil
	case errors.Is(err, syscall.ECONNRESET):
		err = ErrUnread
	case err != nil:
		err = ErrWorkerLost
	default:
		got, _ := l.in.Peek(l.in.Buffered()) // it is there
		if got[0] != gatewayspec.Unread && !whole(got) {
			return Rest, nil
		}
		err = l.receive(read)
	}
	d.target.release(ctx, l, err)
	return Done, err
}

// Finish waits for the rest of the answer.
func (d *Direct) Finish(ctx context.Context, read func(*bufio.Reader) error) error {
	err := d.link.during(ctx, func() error { return d.link.receive(read) })
	d.target.release(ctx, d.link, err)
	return err
}
