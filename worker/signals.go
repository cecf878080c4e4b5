package worker

import (
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
)

// signalQueues are where this worker's uwsgi signals come out: its own, and those for the first worker that has time.
// They wait there while the worker is busy, paused or leaving; another one, or its successor, takes them then.
func (r *reactor) signalQueues() (own, shared int) {
	queues := r.w.spec.Signals.Workers
	if r.w.id >= len(queues) {
		return -1, -1
	}
	return queues[r.w.id], queues[0]
}

func (r *reactor) watchSignals() {
	own, shared := r.signalQueues()
	for fd, events := range map[int]uint32{own: unix.EPOLLIN, shared: unix.EPOLLIN | unix.EPOLLEXCLUSIVE} {
		if fd >= 0 {
			event := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: tagQueue}
			_ = epollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &event) // EEXIST: it is in the set already
		}
	}
}

func (r *reactor) ignoreSignals() {
	own, shared := r.signalQueues()
	for _, fd := range []int{own, shared} {
		if fd >= 0 {
			_ = epollCtl(r.epoll, unix.EPOLL_CTL_DEL, fd, nil) // ENOENT: it is not in the set
		}
	}
}

// takeSignal takes a uwsgi signal out of a queue; false: another worker was quicker.
func (s *slot) takeSignal(queue int) bool {
	if !s.r.accepting {
		return false
	}
	var number [1]byte
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(queue), uintptr(unsafe.Pointer(&number[0])), 1)
	if errno != 0 || n != 1 {
		return false
	}
	s.handling = true
	s.io.uwsgi_signal = cInt32(number[0])
	s.line.Handling.Store(uint32(number[0]) + 1)
	var digits [3]byte
	s.line.SetRequest([]byte("uwsgi"), []byte("signal"), strconv.AppendUint(digits[:0], uint64(number[0]), 10))
	return true
}

// enterSignal goes to the handler of the signal that was taken. The reactor's lock is held.
func (s *slot) enterSignal() int {
	s.now = monotime.Now()
	s.markBusy()
	s.setQueued()
	s.entered.Store(s.now)
	s.r.goesIn(s)
	return nextUwsgiSignal
}

// signalDone notes that the handler has returned.
func (s *slot) signalDone() {
	s.handling = false
	s.line.Handling.Store(0)
	s.line.Deadline.Store(0)
	s.line.Signals.Add(1)
	s.line.State.Store(shm.Idle)
}
