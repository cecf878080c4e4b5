package otlp

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A sender that finds the reader waiting wakes it, which costs more than all else about a record, on both sides. So while records come
// again and again the reader does not wait for the next one, but looks after a while what has come.
const (
	longestDoze  = 20 * time.Millisecond // a step to 15,000 records a second does not fill the socket meanwhile, even without root's room
	firstDoze    = 5 * time.Millisecond  // after a record that was waited for: nothing is known of how many more come
	shortestDoze = time.Millisecond
	fewRecords   = 16 // found after a doze: the next one is longer
	manyRecords  = 64 // likewise: it is shorter
	atOnce       = 1024
)

// intake reads the records that come. It asks the kernel itself: Go's poller would be woken for each record, waited for or not.
type intake struct {
	control int // readable when the master wants an end
	spans   int // reading it never waits
	record  []byte
	take    func(record []byte)
	doze    time.Duration // the next one; none comes before a record was waited for
}

// run takes records until the master wants an end, and then what is there.
func (in *intake) run() error {
	for found := 0; ; {
		timeout, waited := -1, found == 0
		if !waited {
			time.Sleep(in.doze) // not in poll: Go watches a thread that is in a system call, fifty times a millisecond
			timeout = 0
		}
		over, err := in.wait(timeout)
		if err != nil {
			return fmt.Errorf("spans: %w", err)
		}
		for found = in.drain(); over && found > 0; {
			found = in.drain()
		}
		if over {
			return nil
		}
		in.adapt(waited, found)
	}
}

// wait waits for a record, timeout milliseconds at most. It tells whether the master wants an end.
func (in *intake) wait(timeout int) (over bool, err error) {
	fds := []unix.PollFd{{Fd: int32(in.control), Events: unix.POLLIN}, {Fd: int32(in.spans), Events: unix.POLLIN}}
	if _, err = unix.Poll(fds, timeout); errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return fds[0].Revents != 0, err
}

// adapt sets the length of the next doze by what was found after the last one, or after records were waited for.
func (in *intake) adapt(waited bool, found int) {
	switch {
	case waited:
		in.doze = firstDoze
	case found > manyRecords:
		in.doze = max(in.doze/2, shortestDoze)
	case found < fewRecords:
		in.doze = min(in.doze*2, longestDoze)
	}
}

// drain takes what is there, but no more than atOnce, and returns how many records that was.
func (in *intake) drain() (found int) {
	for found < atOnce {
		n, err := unix.Read(in.spans, in.record)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 || err != nil {
			break
		}
		found++
		in.take(in.record[:n])
	}
	return found
}
