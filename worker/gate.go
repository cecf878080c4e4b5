package worker

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// gate is where one thread waits until another opens it: a futex, because a goroutine that is
// locked to its thread, as all that Python calls are, is slow to be woken by others' means.
type gate struct{ opened atomic.Uint32 }

const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

// open lets the thread through, the next time if it does not wait now.
func (g *gate) open() {
	if g.opened.Swap(1) == 0 {
		_, _, _ = syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&g.opened)), futexWakePrivate, 1, 0, 0, 0)
	}
}

// wait returns when the gate has been opened, and closes it. False: a signal came first.
func (g *gate) wait() bool {
	for !g.opened.CompareAndSwap(1, 0) {
		_, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&g.opened)), futexWaitPrivate, 0, 0, 0, 0)
		if errno == syscall.EINTR {
			return g.opened.CompareAndSwap(1, 0)
		}
	}
	return true
}
