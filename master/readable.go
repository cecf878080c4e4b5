package master

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// readableWatch waits for descriptors to become readable; nil waits for none.
type readableWatch struct {
	wakeup  int // an eventfd
	done    chan struct{}
	waiting sync.WaitGroup
}

// watchReadable has an event happen, once, when one of the descriptors is readable.
// They must stay open until close has returned.
func watchReadable(fds []int, events chan<- event, e event) (*readableWatch, error) {
	wakeup, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	w := &readableWatch{wakeup: wakeup, done: make(chan struct{})}
	set := []unix.PollFd{{Fd: int32(wakeup), Events: unix.POLLIN}}
	for _, fd := range fds {
		set = append(set, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	w.waiting.Go(func() {
		for {
			_, err := unix.Poll(set, -1)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err == nil && set[0].Revents == 0 {
				select {
				case events <- e:
				case <-w.done:
				}
			}
			return
		}
	})
	return w, nil
}

// close ends the wait; the event may be on its way already.
func (w *readableWatch) close() {
	if w == nil {
		return
	}
	close(w.done)
	_, _ = unix.Write(w.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // a fresh eventfd takes it
	w.waiting.Wait()
	_ = unix.Close(w.wakeup)
}
