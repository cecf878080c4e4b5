package process

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"envoxyd/internal/socketpair"
	"envoxyd/internal/workerspec"
)

// ErrMalformed is returned for a message that is no report. The next one may be.
var ErrMalformed = errors.New("malformed report")

// Report is what a child has written, and the number of the process that wrote it, which
// the kernel vouches for (unix(7), SO_PASSCRED).
type Report struct {
	workerspec.Event
	Sender int
}

// Channel is the master's end of a pair of sockets that keeps messages apart: orders go
// out, reports come in.
type Channel struct {
	conn   *net.UnixConn
	buffer [64 << 10]byte
}

// NewChannel makes a channel, and the other end, for children to inherit. The caller closes both.
func NewChannel() (ours *Channel, theirs *os.File, err error) {
	fds, err := socketpair.Messages()
	if err != nil {
		return nil, nil, fmt.Errorf("reports: %w", err)
	}
	mine := os.NewFile(uintptr(fds[0]), "reports")
	defer mine.Close()
	theirs = os.NewFile(uintptr(fds[1]), "reports")
	err = unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	var conn net.Conn
	if err == nil {
		conn, err = net.FileConn(mine)
	}
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("reports: %w", err)
	}
	return &Channel{conn: conn.(*net.UnixConn)}, theirs, nil
}

// Receive waits for the next report. io.EOF: no more come. Only one goroutine may call it.
func (c *Channel) Receive() (Report, error) {
	var control [256]byte
	n, size, _, _, err := c.conn.ReadMsgUnix(c.buffer[:], control[:])
	if size > 0 { // an empty message has credentials, the end of all has none
		return parseReport(c.buffer[:n], control[:size])
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return Report{}, err
	}
	return parseReport(c.buffer[:n], nil)
}

// parseReport reads a message and closes the descriptors that came with it: nobody has asked for any.
func parseReport(text, control []byte) (Report, error) {
	var r Report
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for i := range messages {
		message := &messages[i]
		if fds, err := unix.ParseUnixRights(message); err == nil {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		}
		if message.Header.Type == unix.SCM_CREDENTIALS && len(message.Data) >= 4 {
			r.Sender = int(int32(binary.NativeEndian.Uint32(message.Data))) // struct ucred begins with the pid
		}
	}
	if r.Sender <= 0 {
		return r, fmt.Errorf("%w: its sender is unknown", ErrMalformed)
	}
	if err := json.Unmarshal(text, &r.Event); err != nil {
		return r, fmt.Errorf("%w of process %d: %w", ErrMalformed, r.Sender, err)
	}
	return r, nil
}

// Send sends an order; it fails rather than wait for a reader.
func (c *Channel) Send(command workerspec.Command) error {
	text, err := json.Marshal(command)
	if err != nil {
		return err
	}
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		sent = unix.Sendmsg(int(fd), text, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return true
	})
	return errors.Join(err, sent)
}

// End says that no more orders come.
func (c *Channel) End() error { return c.conn.CloseWrite() }

// Finish has Receive return what has been written so far, and then io.EOF, whoever else has the other end.
func (c *Channel) Finish() { _ = c.conn.CloseRead() }

// Close closes the channel; a second time makes no difference.
func (c *Channel) Close() { _ = c.conn.Close() }
