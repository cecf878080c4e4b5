package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/protocol/uwsgi"
)

// errWorkerLost: the connection to the worker ended before its answer did.
var errWorkerLost = errors.New("gateway: the worker ended during the delivery")

// errNotHanded: no worker has seen the request.
var errNotHanded = errors.New("gateway: the request could not be handed to a worker")

// target is one generation's workers: deliveries go to its handover socket.
type target struct {
	handover int // a descriptor, owned
	cores    int

	mu     sync.Mutex
	users  int
	retire bool
}

func (t *target) acquire() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.retire {
		return false
	}
	t.users++
	return true
}

func (t *target) release() {
	t.mu.Lock()
	t.users--
	last := t.retire && t.users == 0
	t.mu.Unlock()
	if last {
		_ = unix.Close(t.handover)
	}
}

// end closes the descriptor when nobody sends on it any more.
func (t *target) end() {
	t.mu.Lock()
	idle := !t.retire && t.users == 0
	t.retire = true
	t.mu.Unlock()
	if idle {
		_ = unix.Close(t.handover)
	}
}

// handoverPause is the wait for room on a handover socket: every core is busy then.
const handoverPause = 2 * time.Millisecond

var parcel = func() []byte {
	text, err := json.Marshal(gatewayspec.Parcel{Listener: gatewayspec.EventListener})
	if err != nil {
		panic(err) // a constant
	}
	return text
}()

// inlinePacket is the size up to which a packet is written before anybody reads it.
const inlinePacket = 60 << 10

// deliver hands one request (variables, body) to whichever core of the generation is
// idle first, and has read take the response. It returns read's error, errWorkerLost
// when the worker went away before, or the context's.
func (t *target) deliver(ctx context.Context, vars, body []byte, read func(*bufio.Reader) error) error {
	if !t.acquire() {
		return errNotHanded
	}
	defer t.release()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("%w: socketpair: %w", errNotHanded, err)
	}
	stream := os.NewFile(uintptr(pair[0]), "delivery")
	defer stream.Close()
	stop := context.AfterFunc(ctx, func() { _ = stream.SetDeadline(time.Now()) })
	defer stop()

	packet := make([]byte, 0, uwsgi.HeaderSize+len(vars)+len(body))
	packet = uwsgi.AppendHeader(packet, uwsgi.Header{Size: len(vars)})
	packet = append(append(packet, vars...), body...)
	if len(packet) <= inlinePacket { // the worker finds it whole at its first read
		if _, err = stream.Write(packet); err != nil {
			_ = unix.Close(pair[1])
		} else {
			err = t.pass(ctx, pair[1])
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("%w: %w", errNotHanded, err)
		}
	} else if err = t.pass(ctx, pair[1]); err == nil {
		_, err = stream.Write(packet)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errWorkerLost
	}
	reader := readers.Get().(*bufio.Reader)
	reader.Reset(stream)
	err = read(reader)
	readers.Put(reader)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4096) }}

// pass sends the worker's end over the handover socket and closes ours of it.
func (t *target) pass(ctx context.Context, fd int) error {
	defer unix.Close(fd)
	rights := unix.UnixRights(fd)
	for {
		err := unix.Sendmsg(t.handover, parcel, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
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

// appendVars appends a request's variables to a block of them.
func appendVars(block []byte, pairs ...[2]string) []byte {
	for _, pair := range pairs {
		block = uwsgi.AppendVar(block, pair[0], pair[1])
	}
	return block
}

// skipHead reads a response up to its body.
func skipHead(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return errWorkerLost
		}
		if len(line) <= 2 {
			return nil
		}
	}
}
