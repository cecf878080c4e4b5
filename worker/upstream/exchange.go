package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"envoxyd/internal/stream"
	"envoxyd/transports/http"
)

// ErrSwitch is an answer that is none.
var ErrSwitch = errors.New("the server switches to another protocol, which nobody has asked for")

// Reader reads from the connection, for as long as the caller lets it.
type Reader func(c *stream.Conn, room []byte) (int, error)

// Exchange is one request and its answer, on a connection of its own. It is one goroutine's, but for Wake.
type Exchange struct {
	conn    *stream.Conn
	read    Reader
	sending sync.WaitGroup
	unread  []byte // came with the head, or is the part of a chunk's frame that is there
	chunks  *http.Chunks
	left    int64 // of the body; -1: until the connection ends
	raw     []byte
}

// Dial connects to host:port, the path of a unix socket, or @abstract. Errors wrap stream.ErrRefused.
func Dial(address string, timeout time.Duration, read Reader) (*Exchange, error) {
	conn, err := stream.Dial(address, timeout)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return &Exchange{conn: conn, read: read}, nil
}

// Wake ends reads that are under way or come; any goroutine may call it.
func (x *Exchange) Wake() { x.conn.Wake() }

// Close ends the exchange, and waits for what still sends the body.
func (x *Exchange) Close() {
	_ = x.conn.Close()
	x.sending.Wait()
}

// Send sends the head of a request, and has a goroutine send its body, which nobody else may read before Close. timeout is
// that of each write.
func (x *Exchange) Send(head []byte, body io.Reader, timeout time.Duration) error {
	to := timed{x.conn, timeout}
	if _, err := to.Write(head); err != nil {
		return err
	}
	if body != nil {
		x.sending.Go(func() { // ends with the body, or by Close
			_, _ = io.CopyBuffer(to, struct{ io.Reader }{body}, make([]byte, 32<<10)) // a server that has answered need not read the rest
		})
	}
	return nil
}

// timed bounds each write anew.
type timed struct {
	conn    *stream.Conn
	timeout time.Duration
}

func (t timed) Write(p []byte) (int, error) {
	t.conn.WriteTimeout(t.timeout)
	return t.conn.Write(p)
}

// Answer is the head of an answer.
type Answer struct {
	Code    int
	Status  string // three digits, and mostly a phrase
	Fields  []byte // lines with their CRLF; without those of the framing, and those that concern the server's connection
	Length  int64  // of the body; -1: it ends when it ends
	Chunked bool   // it came in chunks
}

// Head waits for the head of the answer; 1xx before it are passed over. head: the request was a HEAD one.
func (x *Exchange) Head(head bool) (*Answer, error) {
	var parsed http.ResponseHead
	data := make([]byte, 0, 4096)
	for {
		n, err := parsed.Parse(data)
		switch {
		case err != nil:
			return nil, err
		case n > 0 && parsed.Status == 101:
			return nil, ErrSwitch
		case n > 0 && parsed.Status < 200:
			data = append(data[:0], data[n:]...)
			continue
		case n > http.MaxResponseHead || n == 0 && len(data) >= http.MaxResponseHead:
			return nil, http.ErrResponseHead
		case n > 0:
			return x.begin(&parsed, data[n:], head), nil
		}
		if len(data) == cap(data) {
			data = append(make([]byte, 0, 2*cap(data)), data...)
		}
		n, err = x.read(x.conn, data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case n > 0:
		case errors.Is(err, io.EOF) && len(data) == 0:
			return nil, http.ErrNoResponse
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
	}
}

func (x *Exchange) begin(parsed *http.ResponseHead, rest []byte, head bool) *Answer {
	x.unread, x.left = rest, parsed.Length
	if parsed.Chunked {
		x.chunks, x.left = new(http.Chunks), -1
	}
	a := &Answer{Code: parsed.Status, Length: x.left, Chunked: parsed.Chunked}
	if head && !parsed.Chunked {
		a.Length = parsed.Length
	}
	if parsed.Bodiless(head) {
		x.left, x.chunks = 0, nil
	}
	without := []string{"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "transfer-encoding", "content-length"}
	if named, there := parsed.Field("connection"); there {
		for item := range strings.SplitSeq(strings.ToLower(string(named)), ",") {
			without = append(without, strings.TrimSpace(item))
		}
	}
	text := parsed.Append(nil, "", without...)
	line, fields, _ := bytes.Cut(text[:len(text)-2], []byte("\r\n"))
	a.Status, a.Fields = strings.TrimSpace(string(line[len("HTTP/1.1 "):])), fields
	return a
}

// Early returns what has come of the body along with the head, so that it may go on along with it.
func (x *Exchange) Early() (piece []byte) {
	if x.chunks != nil {
		piece, used, _ := x.chunks.Decode(nil, x.unread) // an error comes again in Read
		x.unread = x.unread[used:]
		return piece
	}
	piece = x.unread
	if x.left >= 0 {
		piece = piece[:min(int64(len(piece)), x.left)]
		x.left -= int64(len(piece))
	}
	x.unread = nil
	return piece
}

// Read reads the body; io.EOF is its end, io.ErrUnexpectedEOF that of the connection before.
func (x *Exchange) Read(p []byte) (n int, err error) {
	switch {
	case x.chunks != nil:
		return x.readChunked(p)
	case x.left == 0:
		return 0, io.EOF
	case x.left > 0 && int64(len(p)) > x.left:
		p = p[:x.left]
	}
	if len(x.unread) > 0 {
		n = copy(p, x.unread)
		x.unread = x.unread[n:]
	} else if n, err = x.read(x.conn, p); errors.Is(err, io.EOF) && x.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if x.left > 0 {
		x.left -= int64(n)
	}
	return n, err
}

func (x *Exchange) readChunked(p []byte) (int, error) {
	if x.raw == nil {
		x.raw = make([]byte, 16<<10)
		x.raw = x.raw[:copy(x.raw[:cap(x.raw)], x.unread)]
		x.unread = x.unread[len(x.raw):]
	}
	for {
		piece, used, err := x.chunks.Decode(p[:0:len(p)], x.raw[:min(len(x.raw), len(p))])
		x.raw = x.raw[:copy(x.raw, x.raw[used:])]
		switch {
		case err != nil:
			return 0, err
		case len(piece) > 0:
			return len(piece), nil
		case x.chunks.Done():
			return 0, io.EOF
		case used > 0:
			continue
		}
		room := x.raw[len(x.raw):cap(x.raw)]
		if n := copy(room, x.unread); n > 0 {
			x.unread, x.raw = x.unread[n:], x.raw[:len(x.raw)+n]
			continue
		}
		n, err := x.read(x.conn, room)
		x.raw = x.raw[:len(x.raw)+n]
		if n == 0 && errors.Is(err, io.EOF) {
			return 0, io.ErrUnexpectedEOF
		}
		if n == 0 && err != nil {
			return 0, err
		}
	}
}
