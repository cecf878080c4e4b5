package sidecar

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/protocol/uwsgi"
)

// ErrWorkerLost tells that the connection to the worker ended before its answer did.
var ErrWorkerLost = errors.New("the worker ended during the delivery")

// ErrNotHanded tells that no worker has seen the request.
var ErrNotHanded = errors.New("the request could not be handed to a worker")

// Target is one generation's workers: deliveries go to its handover socket, or over
// connections that workers have kept from earlier ones. close lets go of it.
type Target struct {
	handover int // a descriptor, owned
	connPool
}

func newTarget(handover, cores int, running *sync.WaitGroup) *Target {
	return &Target{handover, connPool{limit: max(cores, 1), running: running, onClosed: func() { _ = unix.Close(handover) }}}
}

// handoverPause is the wait for room on a handover socket: every core is busy then.
const handoverPause = 2 * time.Millisecond

var handoverHeader = func() []byte {
	text, err := json.Marshal(gatewayspec.HandoverHeader{Listener: gatewayspec.EventListener})
	if err != nil {
		panic(err) // a constant
	}
	return text
}()

// MaxVars is what a worker takes of a request's variables (see worker).
const MaxVars = 16 << 10

// ErrVars tells that the variables are more than that.
var ErrVars = errors.New("the headers and parameters are too long")

// inlinePacket is the size up to which a packet is written before anybody reads it.
const inlinePacket = 60 << 10

// Deliver hands one request (variables, body) to a core, and has read take the answer,
// whose end is told by ends (gatewayspec). It returns read's error, ErrWorkerLost when the
// worker went away before, ErrNotHanded when none has seen the request, or the context's.
func (t *Target) Deliver(ctx context.Context, ends byte, vars, body []byte, read func(*bufio.Reader) error) error {
	packet, err := makePacket(ends, vars, body)
	if err != nil {
		return err
	}
	l, err := t.take(ctx)
	if err != nil {
		return err
	}
	if l != nil {
		if err = l.exchange(ctx, packet, read); !errors.Is(err, ErrUnread) {
			t.release(ctx, l, err)
			return err
		}
		l.close() // it was another worker's, which has ended
	}
	if l, err = t.open(ctx, packet); err != nil {
		t.put(nil)
		return err
	}
	err = l.during(ctx, func() error { return l.receive(read) })
	t.release(ctx, l, err)
	return err
}

func makePacket(ends byte, vars, body []byte) ([]byte, error) {
	if !uwsgi.Fits(len(vars)) { // the header could not say so
		return nil, ErrVars
	}
	packet := make([]byte, 0, uwsgi.HeaderSize+len(vars)+len(body))
	packet = uwsgi.AppendHeader(packet, uwsgi.Header{Modifier2: ends, Size: len(vars)})
	return append(append(packet, vars...), body...), nil
}

// open makes a connection that whichever core of the generation is idle first takes, with
// the packet on it.
func (t *Target) open(ctx context.Context, packet []byte) (*link, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: socketpair: %w", ErrNotHanded, err)
	}
	l := newLink(pair[0])
	err = l.during(ctx, func() error {
		inline := len(packet) <= inlinePacket
		if inline { // the worker finds it whole at its first read
			if err := l.send(packet); err != nil {
				_ = unix.Close(pair[1])
				return err
			}
		}
		if err := t.pass(ctx, pair[1]); err != nil {
			return fmt.Errorf("%w: %w", ErrNotHanded, err)
		}
		if inline {
			return nil
		}
		return l.send(packet)
	})
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// pass sends the worker's end over the handover socket and closes ours of it.
func (t *Target) pass(ctx context.Context, fd int) error {
	defer unix.Close(fd)
	for {
		err := t.tryPass(fd)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.ETOOMANYREFS):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(handoverPause):
		}
	}
}

// tryPass sends the worker's end over the handover socket, if there is room.
func (t *Target) tryPass(fd int) error {
	return unix.Sendmsg(t.handover, handoverHeader, unix.UnixRights(fd), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// AppendVars appends a request's variables to a block of them.
func AppendVars(block []byte, pairs ...[2]string) []byte {
	for _, pair := range pairs {
		block = uwsgi.AppendVar(block, pair[0], pair[1])
	}
	return block
}

// SkipHead reads a response up to its body.
func SkipHead(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return ErrWorkerLost
		}
		if len(line) <= 2 {
			return nil
		}
	}
}
