// Package socketpair makes pairs of connected sockets, and gives them room.
package socketpair

import (
	"os"

	"golang.org/x/sys/unix"
)

// Messages makes a pair that keeps messages apart and in order. Both ends are closed on exec.
func Messages() ([2]int, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	return fds, os.NewSyscallError("socketpair", err)
}

// Widen gives a socket room for so many bytes that its peer has not read; without privileges no more than the kernel allows everybody.
func Widen(fd, room int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, room) == nil {
		return nil
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, room))
}
