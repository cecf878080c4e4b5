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

// keepAwake keeps Go's monitor thread from falling asleep and being woken again at every
// message: when all processors are idle in between, that is a wake-up and a few naps of 20 us
// each time, a quarter of what a request of ZeroMQ costs here. While there is traffic, one
// processor therefore naps in the kernel without telling the scheduler. The collector's
// signals cut a nap short.
type keepAwake struct {
	traffic atomic.Uint64
	bell    *snooze.Bell
}

const (
	awakeNap  = 5 * time.Millisecond // under the 10 ms after which the scheduler would interrupt
	awakeNaps = 20                   // without traffic, after which it rests
)

// newKeepAwake makes one that is asleep.
func newKeepAwake() *keepAwake { return &keepAwake{bell: snooze.New()} }

// touch notes that there is traffic.
func (k *keepAwake) touch() {
	k.traffic.Add(1)
	k.bell.Ring()
}

// run keeps a processor awake, while there is traffic, until the context ends.
func (k *keepAwake) run(ctx context.Context) {
	seen, quiet := uint64(0), 0
	for ctx.Err() == nil {
		if quiet++; quiet > awakeNaps {
			if !k.bell.Sleep(ctx.Done(), func() bool { return k.traffic.Load() != seen }) {
				return
			}
			quiet = 0
		}
		pause := unix.NsecToTimespec(int64(awakeNap))                                              // not the scheduler's kind of sleep, see above
		_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0) // EINTR: the collector's signal
		runtime.Gosched()
		if now := k.traffic.Load(); now != seen {
			seen, quiet = now, 0
		}
	}
}
