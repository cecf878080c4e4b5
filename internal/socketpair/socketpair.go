// Package socketpair makes pairs of connected sockets.
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
