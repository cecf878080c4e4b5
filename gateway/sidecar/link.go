package sidecar

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

// ErrUnread: the worker closed the connection before it read the request.
var ErrUnread = fmt.Errorf("%w: it closed the connection", ErrNotHanded)

// link is our end of a connection to a worker's core. One goroutine has it at a time.
type link struct {
	stream  *os.File
	in      *bufio.Reader
	expired bool // its deadline has passed: it cannot be used again
}

// AnswerHead is how long the head of an answer may be, bytes.
const AnswerHead = 32 << 10

func newLink(fd int) *link {
	stream := os.NewFile(uintptr(fd), "delivery")
	return &link{stream: stream, in: bufio.NewReaderSize(stream, AnswerHead)}
}

func (l *link) close() { l.stream.Close() }

// during has f use the connection until the context ends, whose error it returns then.
func (l *link) during(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = l.stream.SetDeadline(time.Now()) })
	err := f()
	l.expired = !stop() || l.expired
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// exchange sends a request and has read take the answer.
func (l *link) exchange(ctx context.Context, packet []byte, read func(*bufio.Reader) error) error {
	return l.during(ctx, func() error {
		if err := l.send(packet); err != nil {
			return err
		}
		return l.receive(read)
	})
}

// send writes a request. ErrUnread when the worker has closed the connection.
func (l *link) send(packet []byte) error {
	if _, err := l.stream.Write(packet); err != nil { // EPIPE mostly; what was not sent whole is not served
		return ErrUnread
	}
	return nil
}

// receive has read take the answer. ErrUnread: the worker says that it has not read the
// request, or its end was closed with something unread.
func (l *link) receive(read func(*bufio.Reader) error) error {
	first, err := l.in.Peek(1)
	switch {
	case err == nil && first[0] == gatewayspec.Unread, errors.Is(err, syscall.ECONNRESET):
		return ErrUnread
	case err != nil:
		return ErrWorkerLost
	}
	return read(l.in)
}
