package gateway

import (
	"context"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/snooze"
)

// vigil keeps Go's monitor thread from falling asleep and being woken anew at every
// message: when all processors are idle in between, that is a wake-up and a few naps of 20 us
// each time, a quarter of what a request of ZeroMQ costs here. While there is traffic, one
// processor therefore naps in the kernel without telling the scheduler. The collector's
// signals cut a nap short.
type vigil struct {
	traffic atomic.Uint64
	bell    *snooze.Bell
}

const (
	vigilNap  = 5 * time.Millisecond // under the 10 ms after which the scheduler would interrupt
	vigilNaps = 20                   // without traffic, after which it rests
)

func newVigil() *vigil { return &vigil{bell: snooze.New()} }

// stir notes that something passes.
func (v *vigil) stir() {
	v.traffic.Add(1)
	v.bell.Ring()
}

// run keeps the vigil until the context ends.
func (v *vigil) run(ctx context.Context) {
	seen, quiet := uint64(0), 0
	for ctx.Err() == nil {
		if quiet++; quiet > vigilNaps {
			if !v.bell.Sleep(ctx.Done()) {
				return
			}
			quiet = 0
		}
		pause := unix.NsecToTimespec(int64(vigilNap))                                              // not the scheduler's kind of sleep, see above
		_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0) // EINTR: somebody wants the processor
		runtime.Gosched()
		if now := v.traffic.Load(); now != seen {
			seen, quiet = now, 0
		}
	}
}
