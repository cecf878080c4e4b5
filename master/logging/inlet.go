package logging

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/socketpair"
)

const (
	pipeBuffer    = 64 << 10
	inletSize     = 4 << 20          // of records that wait in the kernel, if it lets us
	largestRecord = 2 * inletSize    // that one write can make: the kernel doubles the size
	writerTime    = 10 * time.Second // a process that logs waits this long at most for a master that does not read
	lastReads     = time.Second      // for what processes that do not end with us still write
)

// inlet is a pair of sockets, or a pipe, through which other processes' lines come.
type inlet struct {
	theirs *os.File // what they get as standard output and error
	ours   *os.File
	take   func(fd int) (size int, pid int32, err error) // into the buffer
	conn   syscall.RawConn
	lines  assembler
	buffer []byte
	mapped bool // the buffer is
	cuts   int
	cutSay func(n int)
	ending atomic.Bool
	reader sync.WaitGroup
}

// newInlet makes one of sockets. Each write arrives as one record with the number of the
// process, unless it is a stream.
func newInlet(name string, stream bool, lines assembler, cutSay func(n int)) (*inlet, error) {
	kind := unix.SOCK_SEQPACKET
	if stream {
		kind = unix.SOCK_STREAM
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: socketpair: %w", name, err)
	}
	// Not of Go's heap: most of it is never touched, and its size would put the collector off.
	buffer, err := unix.Mmap(-1, 0, largestRecord, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: mmap: %w", name, err), unix.Close(fds[0]), unix.Close(fds[1]))
	}
	i := &inlet{buffer: buffer, mapped: true, cutSay: cutSay}
	i.take = i.receive
	i.lines = lines
	i.lines.lines, i.lines.was = stream, func() { i.cuts++ }
	timeout := unix.NsecToTimeval(writerTime.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1),
		unix.SetsockoptTimeval(fds[1], unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout),
		unix.SetNonblock(fds[0], true),
		socketpair.Widen(fds[1], inletSize),
	)
	i.ours, i.theirs = os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	return i.start(name, err)
}

// newPipe makes one for a single command, which may open its output again by name
// (/dev/stdout). It ends by itself when nobody has the other end any more.
func newPipe(name string, lines assembler) (*inlet, error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	i := &inlet{buffer: make([]byte, pipeBuffer), ours: ours, theirs: theirs, lines: lines}
	i.lines.lines = true
	i.take = func(fd int) (size int, pid int32, err error) {
		size, err = unix.Read(fd, i.buffer)
		if size == 0 && err == nil {
			err = io.EOF
		}
		return size, 0, err
	}
	return i.start(name, nil)
}

// start begins to read, unless something has failed before.
func (i *inlet) start(name string, err error) (*inlet, error) {
	if err == nil {
		i.conn, err = i.ours.SyscallConn()
	}
	if err != nil {
		i.free()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	i.reader.Go(i.read)
	return i, nil
}

// read takes records until close, or until there is nobody left to write any.
func (i *inlet) read() {
	for {
		deadline := time.Time{}
		if i.lines.waiting() {
			deadline = time.Now().Add(partTime)
		}
		if i.ours.SetReadDeadline(deadline) != nil || i.ending.Load() { // in this order: close does the contrary
			return
		}
		ended := false
		err := i.conn.Read(func(fd uintptr) bool {
			some, err := i.drain(int(fd), time.Time{})
			ended = err != nil
			return some || ended
		})
		i.lines.flush(time.Now().Add(-partTime))
		if ended || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// drain takes what there is; some: it was not nothing. Without a deadline it leaves
// after a while all the same, so that pieces are looked after.
func (i *inlet) drain(fd int, deadline time.Time) (some bool, err error) {
	for n := 0; n < 1000 || !deadline.IsZero(); n++ {
		var size int
		var pid int32
		if size, pid, err = i.take(fd); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			break
		}
		now := time.Now()
		if !deadline.IsZero() && now.After(deadline) {
			break
		}
		some = true
		i.lines.add(pid, i.buffer[:size], now)
	}
	if i.cuts > 0 {
		i.cutSay(i.cuts)
		i.cuts = 0
	}
	if errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	return some, err
}

// receive takes one message.
func (i *inlet) receive(fd int) (size int, pid int32, err error) {
	var control [32]byte // a header and the three numbers of credentials
	size, controlSize, flags, _, err := unix.Recvmsg(fd, i.buffer, control[:], unix.MSG_DONTWAIT)
	if flags&unix.MSG_TRUNC != 0 {
		i.cuts++
	}
	return size, senderOf(control[:max(controlSize, 0)]), err
}

// senderOf is the number of the process in a message's credentials; 0: it has none.
func senderOf(control []byte) int32 {
	header := unix.CmsgLen(0)
	if len(control) < header+unix.SizeofUcred {
		return 0
	}
	return int32(binary.NativeEndian.Uint32(control[header:])) // pid is the first field
}

// close stops reading after everything that has been written so far.
func (i *inlet) close() {
	i.ending.Store(true)
	_ = i.ours.SetReadDeadline(time.Unix(1, 0)) // nothing but close makes it fail
	i.reader.Wait()
	_ = i.conn.Control(func(fd uintptr) { // what fails now has ended
		_, _ = i.drain(int(fd), time.Now().Add(lastReads))
	})
	i.lines.flush(time.Now())
	i.free()
}

func (i *inlet) free() {
	i.ours.Close()
	i.theirs.Close()
	if i.mapped {
		_ = unix.Munmap(i.buffer) // it is what Mmap has returned
	}
	i.buffer = nil
}
