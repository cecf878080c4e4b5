package worker

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// In a loop (gevent and kin) one thread runs all slots, each within a coroutine. The loop watches the reactor's epoll
// descriptor and calls slot.step(stepAsk) while it has free slots, until that returns nextIdle. So everything
// that the reactor waits for is in its epoll set, the time too, and nothing on the thread waits in the kernel.

// clock makes the epoll set readable when something is due.
type clock struct {
	fd    int           // -1: there is none
	every time.Duration // 0: it stands still
}

func (c *clock) start(epoll int) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return err
	}
	c.fd = fd
	if errno := epollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Pad: tagClock}); errno != 0 {
		return errno
	}
	return nil
}

// set makes the clock tick that often from now on; 0 stops it.
func (c *clock) set(every time.Duration) {
	if c.fd < 0 || c.every == every {
		return
	}
	c.every = every
	interval := unix.NsecToTimespec(int64(every))
	_ = unix.TimerfdSettime(c.fd, 0, &unix.ItimerSpec{Interval: interval, Value: interval}, nil) // the descriptor and the times are valid
}

func (c *clock) clear() {
	var ticks [8]byte
	_, _ = syscall.Read(c.fd, ticks[:]) // EAGAIN: it was read before
}

// idle prepares for the time until the loop asks again.
func (r *reactor) idle() {
	if !r.looped {
		return
	}
	every := time.Duration(0)
	if r.kept > 0 || r.pausedTo > 0 || r.w.phase.Load() != serving {
		every = time.Duration(r.waitTimeout()) * time.Millisecond
	}
	r.clock.set(every)
}

// leaveOff is for a client that does not read: the last of a response is given to a goroutine. For all else the
// loop waits, which keeps out and data until resume.
func (s *slot) leaveOff(out, data []byte, mode int) int {
	if mode == sendLast && s.sendLater(s.current, out, data) {
		return writeOK
	}
	s.unsent, s.unsentMode = [2][]byte{out, data}, mode
	s.io.patience = cInt32(s.current.listener.send / time.Millisecond)
	return writeAgain
}

// complete ends the request before the application has returned, when the last of its response has left or is on its way.
func (s *slot) complete() int {
	if s.io.out_len > 0 {
		if outcome := s.write(nil, sendLast); outcome != writeOK {
			return outcome
		}
		s.io.out_len = 0
	}
	if len(s.rest) > 0 { // it is not for this slot, whose thread is in the application
		s.current.rest, s.rest = append(s.current.rest, s.rest...), nil
	}
	s.finish()
	s.r.mu.Lock()
	s.settle()
	s.r.mu.Unlock()
	return writeOK
}

// resume sends what leaveOff has left; late: the client has not read in time.
func (s *slot) resume(late bool) int {
	out, data := s.unsent[0], s.unsent[1]
	s.unsent = [2][]byte{}
	if late {
		return s.writeFailed(syscall.ETIMEDOUT)
	}
	return s.sendRaw(out, data, s.unsentMode)
}
