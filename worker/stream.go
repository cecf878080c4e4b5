package worker

import (
	"io"
	"os"
	"syscall"
	"time"
)

// input reads from a connection, each time for no longer than timeout.
type input struct {
	stream  *os.File
	timeout time.Duration
	until   time.Time // zero: no end
}

func (in *input) Read(p []byte) (int, error) {
	deadline := time.Now().Add(in.timeout)
	if !in.until.IsZero() && in.until.Before(deadline) {
		deadline = in.until
	}
	if err := in.stream.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return in.stream.Read(p)
}

// more appends what one read gives.
func (in *input) more(data []byte) ([]byte, error) {
	if cap(data)-len(data) < 4096 {
		data = append(make([]byte, 0, 2*cap(data)+16384), data...)
	}
	n, err := in.Read(data[len(data):cap(data)])
	if n > 0 {
		return data[:len(data)+n], nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return data, err
}

// duplicate is a second descriptor of the connection that goroutines may wait on:
// Go's poller and the reactor's epoll set must not share one.
func duplicate(fd int) (*os.File, error) {
	copied, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	return os.NewFile(copied, "connection"), nil
}
