package tracing

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sender sends records to the process that exports them. It never waits: what that does not take in time is lost, and counted.
type Sender struct {
	fd      int
	dropped atomic.Uint32
}

// NewSender sends over a socket that keeps messages apart. The descriptor stays the caller's.
func NewSender(fd int) *Sender { return &Sender{fd: fd} }

// Dropped returns how many spans were lost since the last call: for the next record.
func (s *Sender) Dropped() uint32 {
	if s.dropped.Load() == 0 {
		return 0
	}
	return s.dropped.Swap(0)
}

// Send sends a record that says dropped of what was lost before it.
func (s *Sender) Send(record []byte, dropped uint32) {
	for {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(record))),
			uintptr(len(record)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return
		case syscall.EINTR:
		default:
			s.dropped.Add(dropped + 1)
			return
		}
	}
}
