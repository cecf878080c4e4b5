package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"envoxyd/internal/gatewayspec"
)

// errUnread: the worker closed the connection before it read the request.
var errUnread = fmt.Errorf("%w: it closed the connection", errNotHanded)

// link is our end of a connection to a worker's core. One goroutine has it at a time.
type link struct {
	stream *os.File
	in     *bufio.Reader
	deaf   bool // its deadline has passed: it cannot be used again
}

// answerHead is how long the head of an answer may be, bytes.
const answerHead = 32 << 10

func newLink(fd int) *link {
	stream := os.NewFile(uintptr(fd), "delivery")
	return &link{stream: stream, in: bufio.NewReaderSize(stream, answerHead)}
}

func (l *link) close() { l.stream.Close() }

// watch ends what waits on the connection when the context ends. stop ends the watch; false:
// it was too late.
func (l *link) watch(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = l.stream.SetDeadline(time.Now()) })
}

// send writes a request. errUnread when the worker has closed the connection.
func (l *link) send(packet []byte) error {
	_, err := l.stream.Write(packet)
	if err != nil { // EPIPE mostly; what was not sent whole is not served
		return errUnread
	}
	return nil
}

// exchange sends a request over a connection that has served before, and has read take the answer.
func (l *link) exchange(ctx context.Context, packet []byte, read func(*bufio.Reader) error) error {
	stop := l.watch(ctx)
	err := l.send(packet)
	l.deaf = !stop()
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return l.receive(ctx, read)
}

// receive has read take the answer. errUnread: the worker says that it has not looked at the
// request, or its end was closed with something unread.
func (l *link) receive(ctx context.Context, read func(*bufio.Reader) error) error {
	stop := l.watch(ctx)
	first, err := l.in.Peek(1)
	switch {
	case err == nil && first[0] == gatewayspec.Unread:
		err = errUnread
	case err == nil:
		err = read(l.in)
	case errors.Is(err, syscall.ECONNRESET):
		err = errUnread
	default:
		err = errWorkerLost
	}
	l.deaf = !stop() || l.deaf
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
