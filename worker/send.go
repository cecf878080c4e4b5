package worker

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/transports"
)

// shortWait is how long a core waits for a client to read before a goroutine takes over.
const shortWait = time.Millisecond

// fileRest is a part of a file that a goroutine is to send.
type fileRest struct {
	file         *os.File
	offset, size int64
	id           uint16 // of the request, for the transport
	copies       bool   // it is read and written: no sendfile(2)

	parts io.Reader // of several parts, of which size is that of all; nil: it is one
}

// read reads the next bytes that are to be sent.
func (f *fileRest) read(p []byte) (n int, err error) {
	p = p[:min(int64(len(p)), f.size)]
	if f.parts != nil {
		n, err = io.ReadAtLeast(f.parts, p, 1)
	} else {
		n, err = f.file.ReadAt(p, f.offset)
	}
	f.offset, f.size = f.offset+int64(n), f.size-int64(n)
	return n, err
}

// write sends what is in the output buffer, then data. The application is on
// this thread, waiting, without the GIL. The mode says whether a client that reads
// slowly is waited for.
func (s *slot) write(data []byte, mode int) int {
	return s.sendPair(s.output(), data, mode)
}

// output is what is in the output buffer.
func (s *slot) output() []byte { return unsafe.Slice((*byte)(s.io.out), s.io.out_len) }

func (s *slot) sendPair(out, data []byte, mode int) int {
	if frame := s.current.listener.transport.Frame; frame != nil {
		s.framed = frame(frame(s.framed[:0], s.response.id, out), s.response.id, data)
		out, data = s.framed, nil
	}
	return s.sendRaw(out, data, mode)
}

func (s *slot) sendRaw(out, data []byte, mode int) int {
	if !s.claims() {
		return writeGone
	}
	if s.holding.Load() {
		out = append(s.takeHeld(), out...)
	}
	if s.current.inline() {
		if done, outcome := s.sendSealed(out, data, mode); done {
			return outcome
		}
	}
	fd := s.current.fd
	timeout := s.current.listener.send
	if mode != sendWhole {
		timeout = shortWait
	}
	if later := s.response.sender; later != nil {
		if (mode == sendLast || s.r.looped) && s.sendLater(s.current, out, data) {
			return writeOK
		}
		if err := later.wait(); err != nil { // one item ahead of the client is enough
			return s.writeFailed(errnoOf(err))
		}
	}
	for len(out)+len(data) > 0 {
		n, errno := writev(fd, out, data)
		switch errno {
		case 0:
			out, data = consume(out, data, n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			if s.r.looped {
				return s.leaveOff(out, data, mode)
			}
			if writable(fd, timeout) {
				continue
			}
			if mode == sendWhole {
				return s.writeFailed(syscall.ETIMEDOUT)
			}
			if s.sendLater(s.current, out, data) {
				return writeOK
			}
			mode, timeout = sendWhole, s.current.listener.send
		default:
			return s.writeFailed(errno)
		}
	}
	return writeOK
}

// sendSealed is sendRaw for a connection that is inline. False: nothing was sent, and the descriptor speaks in the clear now.
func (s *slot) sendSealed(out, data []byte, mode int) (done bool, outcome int) {
	if s.current.inMemory() {
		return s.sendInMemory(out, data, mode)
	}
	if len(out)+len(data) > sealedAtOnce {
		s.openCurrent()
		return false, writeOK
	}
	rest, errno := s.current.tls.seal(out, data)
	if errno != 0 {
		return true, s.writeFailed(errno)
	}
	if rest {
		s.openCurrent()
	}
	return true, writeOK
}

// sendInMemory is sendSealed for a stream in memory. What is not the last of a response, or of an item, waits for its client by
// the descriptor.
func (s *slot) sendInMemory(out, data []byte, mode int) (done bool, outcome int) {
	if mode == sendLast {
		taken, gone := s.current.memory.write(out, data)
		if gone {
			return true, s.writeFailed(syscall.EPIPE)
		}
		if taken {
			return true, writeOK
		}
	}
	s.openCurrent()
	return false, writeOK
}

// openCurrent has the descriptor of the request's connection speak in the clear, to the application too.
func (s *slot) openCurrent() {
	s.w.open(s.current)
	s.io.client_fd = cInt32(s.current.fd)
}

func (s *slot) writeFailed(errno syscall.Errno) int {
	s.response.errno = errno
	if errno == syscall.ETIMEDOUT {
		return writeTimeout
	}
	return writeGone
}

func writev(fd int, out, data []byte) (int, syscall.Errno) {
	if len(data) == 0 || len(out) == 0 {
		one := out
		if len(one) == 0 {
			one = data
		}
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one[0])), uintptr(len(one)))
		return int(n), errno
	}
	vector := [2]unix.Iovec{{Base: &out[0], Len: uint64(len(out))}, {Base: &data[0], Len: uint64(len(data))}}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vector[0])), 2)
	return int(n), errno
}

func consume(out, data []byte, n int) (restOut, restData []byte) {
	if n < len(out) {
		return out[n:], data
	}
	return nil, data[n-len(out):]
}

// writable waits until the descriptor takes bytes again.
func writable(fd int, timeout time.Duration) bool {
	deadline := time.Now().Add(timeout)
	for {
		left := time.Until(deadline)
		if left < 0 {
			return false
		}
		set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(set, int((left+time.Millisecond-1)/time.Millisecond))
		if n > 0 {
			return true
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
	}
}

// sendFile sends a part of the application's file after what is in the output buffer.
func (s *slot) sendFile(file int, offset, size int64) int {
	s.response.sendfile = true
	if sent := s.write(nil, sendWhole); sent != writeOK {
		return sent
	}
	s.openCurrent()
	inline := s.current.listener.transport.Frame == nil && !s.w.spec.Limits.NoSendfile
	for size > 0 && inline {
		n, err := unix.Sendfile(s.current.fd, file, &offset, int(min(size, 1<<30)))
		switch {
		case n > 0:
			size -= int64(n)
		case err == nil: // the file is shorter than it was
			s.response.errno = syscall.EIO
			return writeGone
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if !s.r.looped && writable(s.current.fd, shortWait) {
				continue
			}
			return s.leaveFile(file, offset, size)
		case cannotSendfile(err):
			return s.leaveFile(file, offset, size)
		default:
			s.response.errno, _ = err.(syscall.Errno)
			return writeGone
		}
	}
	if size > 0 {
		return s.leaveFile(file, offset, size)
	}
	return writeOK
}

// cannotSendfile tells whether the file, or the connection, is of a kind that sendfile(2) does not serve.
func cannotSendfile(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}

// leaveFile has a goroutine send the part of the file once the application is done with the request.
func (s *slot) leaveFile(file int, offset, size int64) int {
	copied, err := duplicate(file)
	if err != nil {
		s.w.logf("sendfile: %v", err)
		return writeGone
	}
	s.response.file = &fileRest{file: copied, offset: offset, size: size, id: s.response.id, copies: s.w.spec.Limits.NoSendfile}
	return writeOK
}

// link is what follows an answer to the gateway.
var link = []byte{gatewayspec.Link}

// linked tells whether the connection, one of the gateway's, is kept for its next delivery.
// A slot keeps only one: what there is to do is shared out among the slots by new ones.
func (s *slot) linked(cn *conn) bool {
	q, result := &s.response, s.io.result
	if !q.keep || result&(resClose|resFailed|resBroken|resShort) != 0 || q.sender != nil || q.file != nil || s.w.phase.Load() != serving {
		return false
	}
	if s.link != nil && cn.keeper == nil {
		return false
	}
	return result&resDelimited != 0 || s.request.modifier2 == gatewayspec.EndsWithMarks
}

// finish sends what is left of the response, accounts for it, and decides what is to
// become of the connection; settle does it.
func (s *slot) finish() {
	cn, io := s.current, s.io
	q := &s.response
	var behind []byte
	s.endFrames()
	if !s.claims() {
		io.result |= resBroken
		io.status, io.sent, io.out_len = 504, 0, 0
	}
	if cn.listener.event {
		if q.keep = s.linked(cn); q.keep {
			behind = link
		}
	}
	refusal := s.refusal()
	switch {
	case refusal != 0 && cn.listener.transport.Refuses && s.claims():
		io.status = cUint32(refusal)
		text, size, fields := cn.listener.pages.answer(refusal, "", io.flags&reqNoBody != 0)
		io.headers, io.head_len = cUint32(fields), cUint32(size)
		_ = s.sendPair(text, nil, sendLast)
		q.keep = false
	case s.hold(): // it leaves with the next one
	case io.result&(resFailed|resBroken) == 0 && q.file == nil && int(io.out_len)+len(behind) > 0:
		whole := io.out_len == 0
		if s.write(behind, sendLast) != writeOK {
			io.result |= resBroken
			if whole { // the gateway did not wait for the end of the request
				io.result, q.errno = io.result&^resBroken|resClose, 0
			}
		}
	default:
		s.flushHeld()
	}
	if cn.listener.transport.End != nil && q.file == nil && io.result&(resFailed|resBroken|resShort) == 0 {
		s.sendEnd()
	}
	if q.errno != 0 {
		s.logWriteError(q.errno)
	}
	if io.result&resShort != 0 {
		s.logShort()
	}
	s.leaveArriving(cn)
	s.endRouted()
	s.account()
	io.event_fd = -1
	if q.body != nil {
		q.body.free()
	}
	if cn.Kept && s.w.phase.Load() != serving { // its client is told by the end of the connection
		q.keep = false
	}
	keep := q.keep && (behind != nil || io.result&resDelimited != 0) && io.result&(resClose|resFailed|resBroken|resShort) == 0
	switch {
	case q.sender != nil || q.file != nil:
		s.fate = fateSent
		if keep {
			s.fate = fateSentKept
		}
	case keep:
		s.fate = fateKept
	default:
		s.fate = fateDropped
	}
	s.w.requestDone(s.now)
}

// refusal is the status that the client is to get because the application has given no response; 0: it has.
func (s *slot) refusal() int {
	failed := s.io.result&resFailed != 0
	if s.arriving != nil && (failed || s.io.head_len == 0) {
		if status := s.arriving.refusal(); status != 0 {
			return status
		}
	}
	if failed {
		return 500
	}
	return 0
}

// sendEnd tells the client that the response is complete. Behind a file, sendFramedRest does.
func (s *slot) sendEnd() {
	if s.sendRaw(s.current.listener.transport.End(s.framed[:0], s.response.id), nil, sendLast) != writeOK {
		s.io.result |= resBroken
	}
}

// sendFramedRest sends the part of a file as the protocol has it, and the end of the response.
func sendFramedRest(stream *os.File, t *transports.Transport, file *fileRest, timeout time.Duration) error {
	piece := make([]byte, 64<<10)
	var framed []byte
	for {
		n := 0
		if file.size > 0 {
			var err error
			if n, err = file.read(piece); n == 0 {
				return err // shorter than it was: without its end, the client knows
			}
		}
		framed = t.Frame(framed[:0], file.id, piece[:n])
		if file.size == 0 {
			framed = t.End(framed, file.id)
		}
		if err := stream.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if _, err := stream.Write(framed); err != nil || file.size == 0 {
			return err
		}
	}
}

func sendFileRest(stream *os.File, file *fileRest, timeout time.Duration) error {
	if file.copies {
		return copyFileRest(stream, file, timeout)
	}
	raw, err := stream.SyscallConn()
	if err != nil {
		return err
	}
	for file.size > 0 {
		if err := stream.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		var sent int
		var failure error
		err := raw.Write(func(fd uintptr) bool {
			sent, failure = unix.Sendfile(int(fd), int(file.file.Fd()), &file.offset, int(min(file.size, 1<<30)))
			return !errors.Is(failure, unix.EAGAIN)
		})
		if err != nil {
			return err
		}
		if cannotSendfile(failure) {
			return copyFileRest(stream, file, timeout)
		}
		if failure != nil && !errors.Is(failure, unix.EINTR) {
			return failure
		}
		if sent == 0 && failure == nil {
			return os.ErrClosed
		}
		file.size -= int64(max(sent, 0))
	}
	return nil
}

// copyFileRest is sendFileRest for what sendfile(2) does not serve, or not right. It asks nothing of stream but to take bytes.
func copyFileRest(stream *os.File, file *fileRest, timeout time.Duration) error {
	piece := make([]byte, 64<<10)
	for file.size > 0 {
		n, err := file.read(piece)
		if n == 0 {
			return err
		}
		if err := stream.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if _, err := stream.Write(piece[:n]); err != nil {
			return err
		}
	}
	return nil
}

// disconnect tells the client that this was all; the application goes on.
func (s *slot) disconnect() {
	if later := s.response.sender; later != nil {
		_ = later.wait() // what cannot be sent is lost as it would be to the client
	}
	s.flushHeld()
	s.openCurrent()
	_ = unix.Shutdown(s.current.fd, unix.SHUT_RDWR)
}
