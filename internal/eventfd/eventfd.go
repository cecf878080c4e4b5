// Package eventfd has counters of the kernel that wake whoever watches them (eventfd(2)).
package eventfd

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// New makes a counter: a descriptor that never blocks, is closed on exec, and belongs to the caller.
func New() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) }

// Add makes the descriptor readable. A full counter is readable already.
func Add(fd int) {
	one := uint64(1)
	_, _ = syscall.Write(fd, (*[8]byte)(unsafe.Pointer(&one))[:])
}

// Clear makes it unreadable until the next Add.
func Clear(fd int) {
	var counter [8]byte
	_, _ = syscall.Read(fd, counter[:]) // EAGAIN: it was not readable
}
