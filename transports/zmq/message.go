// Package zmq speaks the requests of Envoxy services over ZeroMQ: a REQ socket's two
// empty frames and a JSON object, in both directions.
//
// The wire (ZMTP 3, RFC 23) is go-zeromq's, without its sockets: a connection here has
// one goroutine that reads a request, has it answered and writes the reply, where
// libzmq and the library's own sockets pass each message through threads or channels.
package zmq

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/null"
)

// Performatives are the verbs of requests, by their number.
var Performatives = [...]string{"GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "REPLY", "SEARCH", "NOTIFY", "TRACE", "CONNECT"}

// PerformativeReply marks replies.
const PerformativeReply = 7

// MaxMessage bounds a message: the length that a peer announces is not trusted.
const MaxMessage = 64 << 20

// Errors of requests and replies.
var (
	ErrTooLong   = errors.New("zmq: the message is too long")
	ErrFrames    = errors.New("zmq: a message has two empty frames and a JSON object")
	ErrHandshake = errors.New("zmq: the peer's introduction cannot be understood")
	ErrTimeout   = errors.New("zmq: no reply in time")
	ErrLost      = errors.New("zmq: the connection was lost before the reply")
)

// Request is what a peer asks.
type Request struct {
	Performative json.Number     `json:"performative"`
	Resource     string          `json:"resource"`
	Headers      map[string]any  `json:"headers"`
	Params       map[string]any  `json:"params"`
	Payload      json.RawMessage `json:"payload"`
}

// Method is the request's verb; false for a performative that is none.
func (r *Request) Method() (string, bool) {
	n, err := r.Performative.Int64()
	if err != nil || n < 0 || int(n) >= len(Performatives) || n == PerformativeReply {
		return "", false
	}
	return Performatives[n], true
}

// Reply is what a peer is answered.
type Reply struct {
	Protocol     string            `json:"protocol"`
	Performative int               `json:"performative"`
	Resource     string            `json:"resource"`
	Status       int               `json:"status"`
	Headers      map[string]string `json:"headers"`
	Payload      json.RawMessage   `json:"payload"`
}

// frames takes the JSON out of a message's frames.
func frames(m zmq4.Msg) ([]byte, error) {
	if len(m.Frames) == 0 || len(m.Frames) > 3 {
		return nil, ErrFrames
	}
	for _, f := range m.Frames[:len(m.Frames)-1] {
		if len(f) != 0 {
			return nil, ErrFrames
		}
	}
	return m.Frames[len(m.Frames)-1], nil
}

// bound is a connection that is read through a buffer, whose messages have a bound, and
// which sends a message in one write.
type bound struct {
	net.Conn
	in      *bufio.Reader
	skip    uint64 // bytes that pass unexamined: the greeting, a frame's body
	head    [9]byte
	got     int
	total   uint64 // bytes of the message's frames so far
	frames  int
	refused error

	hold bool // writes are collected for flush
	out  []byte
}

// maxFrames is more than any message of ours has.
const maxFrames = 16

// greeting is how many bytes each side begins with.
const greeting = 64

func newBound(conn net.Conn) *bound {
	return &bound{Conn: conn, in: bufio.NewReaderSize(conn, 16<<10), skip: greeting}
}

// Read passes bytes on and keeps track of the frames' heads on their way.
func (b *bound) Read(p []byte) (int, error) {
	if b.refused != nil {
		return 0, b.refused
	}
	n, err := b.in.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		if b.skip > 0 {
			step := min(b.skip, uint64(len(rest)))
			b.skip -= step
			rest = rest[step:]
			continue
		}
		b.head[b.got] = rest[0]
		b.got++
		rest = rest[1:]
		b.headByte()
		if b.refused != nil {
			return 0, b.refused
		}
	}
	return n, err
}

func (b *bound) headByte() {
	const more, long = 1, 2
	var size uint64
	switch {
	case b.got < 2 || b.head[0]&long != 0 && b.got < 9:
		return
	case b.head[0]&long != 0:
		size = binary.BigEndian.Uint64(b.head[1:])
	default:
		size = uint64(b.head[1])
	}
	b.got = 0
	b.frames++
	if size > MaxMessage || b.total+size > MaxMessage || b.frames > maxFrames {
		b.refused = ErrTooLong
		return
	}
	b.skip = size
	b.total += size
	if b.head[0]&more == 0 {
		b.total, b.frames = 0, 0
	}
}

// Write collects, once the handshake is over: the library writes each frame's head and body alone.
func (b *bound) Write(p []byte) (int, error) {
	if !b.hold {
		return b.Conn.Write(p)
	}
	b.out = append(b.out, p...)
	return len(p), nil
}

func (b *bound) flush() error {
	_, err := b.Conn.Write(b.out)
	b.out = b.out[:0]
	if cap(b.out) > 1<<20 {
		b.out = nil
	}
	return err
}

// link is a connection after the handshake.
type link struct {
	wire *zmq4.Conn
	conn *bound
}

// open makes the handshake on a fresh connection.
//
// The library panics at metadata that is cut short: what a peer sends must not end us.
func open(conn net.Conn, kind zmq4.SocketType, server bool, timeout time.Duration) (l *link, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			l, err = nil, fmt.Errorf("%w: %v", ErrHandshake, problem)
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	b := newBound(conn)
	wire, err := zmq4.Open(b, null.Security(), kind, nil, server, nil)
	if err != nil {
		return nil, err
	}
	b.hold = true
	return &link{wire, b}, conn.SetDeadline(time.Time{})
}

// receive reads one message, past what is only for the connection itself.
func (l *link) receive() (text []byte, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			text, err = nil, fmt.Errorf("%w: %v", ErrFrames, problem)
		}
	}()
	for {
		m, err := l.wire.RecvMsg()
		if err != nil {
			return nil, err
		}
		if m.Type == zmq4.CmdMsg { // a ping has been answered, into the buffer
			if err := l.conn.flush(); err != nil {
				return nil, err
			}
			continue
		}
		return frames(m)
	}
}

func (l *link) send(text []byte) error {
	if err := l.wire.SendMsg(zmq4.NewMsgFrom(nil, nil, text)); err != nil {
		return fmt.Errorf("zmq: %w", err)
	}
	return l.conn.flush()
}

// Address turns a bind or an endpoint ("tcp://*:5555", ":5555", "host:5555") into what net listens on or dials.
func Address(endpoint string) (string, error) {
	address := strings.TrimPrefix(endpoint, "tcp://")
	if strings.Contains(address, "://") {
		return "", fmt.Errorf("zmq: %q: only tcp:// is spoken", endpoint)
	}
	address = strings.Replace(address, "*:", ":", 1)
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return "", fmt.Errorf("zmq: %q: tcp://host:port is wanted", endpoint)
	}
	return address, nil
}
