package sidecar

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
)

// ErrUnread tells that the worker closed the connection before it read the request.
var ErrUnread = fmt.Errorf("%w: it closed the connection", ErrNotHanded)

// link is our end of a connection to a worker's core. One goroutine has it at a time.
type link struct {
	fd      int
	stream  *os.File // in Go's poller; nil: nobody has waited for the worker by it
	in      *bufio.Reader
	expired bool // its deadline has passed: it cannot be used again
}

// AnswerHead is how long the head of an answer may be, bytes.
const AnswerHead = 32 << 10

// newLink makes one of a descriptor that does not block.
func newLink(fd int) *link {
	l := &link{fd: fd}
	l.in = bufio.NewReaderSize(l, AnswerHead)
	return l
}

// errAgain: nothing has come.
var errAgain = errors.New("it would block")

// Read waits if there is a stream, else it does not.
func (l *link) Read(p []byte) (int, error) {
	if l.stream != nil {
		return l.stream.Read(p)
	}
	for {
		n, err := unix.Read(l.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return 0, errAgain
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// file is the stream, from now on.
func (l *link) file() *os.File {
	if l.stream == nil {
		l.stream = os.NewFile(uintptr(l.fd), "delivery")
	}
	return l.stream
}

// detach takes the connection out of Go's poller, which would wake a thread for each answer.
func (l *link) detach() bool {
	if l.stream == nil {
		return true
	}
	raw, err := l.stream.SyscallConn()
	if err != nil {
		return false
	}
	var fd int
	var failed error
	err = raw.Control(func(of uintptr) { fd, failed = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil || failed != nil {
		return false
	}
	l.stream.Close()
	l.stream, l.fd = nil, fd
	return true
}

func (l *link) close() {
	if l.stream != nil {
		l.stream.Close()
	} else {
		_ = unix.Close(l.fd)
	}
}

// during has f use the connection until the context ends, whose error it returns then.
func (l *link) during(ctx context.Context, f func() error) error {
	stream := l.file()
	stop := context.AfterFunc(ctx, func() { _ = stream.SetDeadline(time.Now()) })
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
	if _, err := l.file().Write(packet); err != nil { // EPIPE mostly; what was not sent whole is not served
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
