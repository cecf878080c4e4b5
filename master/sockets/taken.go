package sockets

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// TakeoverOption is the option that lets a start take what another process serves.
const TakeoverOption = "unix-socket-takeover"

// TakenError is returned for a file that another process serves.
type TakenError struct {
	PID    int   // who; 0: unknown
	Reason error // why it cannot be told whether somebody does; nil: somebody does
}

func (e *TakenError) Error() string {
	who := "another process serves it"
	switch name, err := os.ReadFile("/proc/" + strconv.Itoa(e.PID) + "/comm"); {
	case e.Reason != nil:
		who = fmt.Sprintf("another process may serve it (%v)", e.Reason)
	case e.PID == os.Getpid():
		return "it is named twice"
	case e.PID > 0 && err == nil:
		who = fmt.Sprintf("process %d (%s) serves it", e.PID, bytes.TrimSpace(name))
	case e.PID > 0:
		who = fmt.Sprintf("process %d serves it", e.PID)
	}
	return who + "; stop that first, or give --" + TakeoverOption + " to take its place"
}

// Claim makes way for a unix socket of that type (unix.SOCK_STREAM, unix.SOCK_DGRAM) at path. A
// socket that nobody serves any more is removed, one that somebody does only with takeover;
// without it the error is a TakenError. Other kinds of files stay: bind will say that they are in
// the way.
func Claim(path string, kind int, takeover bool) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return err
	}
	if !takeover {
		if err := Taken(path, kind); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Taken returns a TakenError when somebody serves the unix socket at path.
//
// A stream socket that outlives the process that listened on it is nobody's: workers whose
// master was killed hold it until their requests are done. A master that takes over from
// another listens again, so that the socket has its pid.
func Taken(path string, kind int) error {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); {
	case err == nil:
		peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil || peer.Pid <= 0 { // a datagram socket has none; that of another namespace is not seen
			return &TakenError{}
		}
		if errors.Is(unix.Kill(int(peer.Pid), 0), unix.ESRCH) {
			return nil
		}
		return &TakenError{PID: int(peer.Pid)}
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EPROTOTYPE): // the queue is full; a socket of another type
		return &TakenError{}
	default:
		return &TakenError{Reason: err}
	}
}

// PipeTaken returns a TakenError when somebody reads the named pipe at path.
func PipeTaken(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return nil //nolint:nilerr // nobody reads what is not there
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		unix.Close(fd)
		return &TakenError{}
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENOENT):
		return nil
	default:
		return &TakenError{Reason: err}
	}
}
