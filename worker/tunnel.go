package worker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// tunnelPiece is what a tunnel carries of a body at once, in bytes.
const tunnelPiece = 32 << 10

var tunnelPieces = sync.Pool{New: func() any { return new([tunnelPiece]byte) }}

// http2Writer is what net/http's response writers of HTTP/2 can do.
type http2Writer interface {
	nethttp.Flusher
	SetWriteDeadline(time.Time) error
}

// tunnel is the outer end of a socket pair. It belongs to one stream at a time.
type tunnel struct {
	file   *os.File
	reader *bufio.Reader
	head   []byte        // room for a request's
	over   chan struct{} // closed when the other end is
	used   bool          // there was a request on it before
	cut    atomic.Bool   // the request's body has ended too early
	read   atomic.Bool   // the client has sent all of it, so what is left to do is one write
}

// end closes the tunnel and waits until the worker has, too. A client that resets streams faster than they are served has
// no more of them under way than it may have streams.
func (t *tunnel) end() {
	_ = t.file.Close()
	<-t.over
}

// sendBody sends the request's body as HTTP/1.1 has it. If it does not come as a whole the worker is told by the tunnel's end.
func (t *tunnel) sendBody(r *nethttp.Request) error {
	piece := tunnelPieces.Get().(*[tunnelPiece]byte)
	defer tunnelPieces.Put(piece)
	var frame []byte
	left := r.ContentLength
	for {
		n, err := r.Body.Read(piece[:])
		data := piece[:n]
		left -= int64(n)
		if left == 0 || errors.Is(err, io.EOF) {
			t.read.Store(true)
		}
		if r.ContentLength < 0 && n > 0 {
			frame = append(strconv.AppendInt(frame[:0], int64(n), 16), "\r\n"...)
			frame = append(append(frame, data...), "\r\n"...)
			data = frame
		}
		if n > 0 {
			if _, err := t.file.Write(data); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			t.cut.Store(true)
			shutdown(t.file, unix.SHUT_WR)
			return err
		case r.ContentLength < 0:
			_, err = t.file.Write([]byte("0\r\n\r\n"))
			return err
		default:
			return nil
		}
	}
}

// response reads the head of the response; informational ones before it are passed on.
func (t *tunnel) response(out nethttp.ResponseWriter, r *nethttp.Request) (*nethttp.Response, error) {
	for {
		if _, err := t.reader.Peek(1); err != nil {
			return nil, fmt.Errorf("%w: %w", errStale, err)
		}
		response, err := nethttp.ReadResponse(t.reader, r)
		if err != nil {
			return nil, err
		}
		copyHeader(out.Header(), response.Header)
		if response.StatusCode >= 200 {
			return response, nil
		}
		if response.StatusCode == nethttp.StatusSwitchingProtocols {
			return nil, errors.New("HTTP/2 does not switch protocols")
		}
		out.WriteHeader(response.StatusCode)
		clear(out.Header())
	}
}

func copyHeader(to, from nethttp.Header) {
	for name, values := range from {
		switch name {
		case "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Proxy-Connection":
		default:
			to[name] = values
		}
	}
	for _, name := range []string{"Date", "Content-Type"} { // what the application has not said nobody says
		if _, said := to[name]; !said {
			to[name] = nil
		}
	}
}

// carry passes the body on, as it comes. False: it was cut off, or its client has not taken any of it for the time of patience.
func (t *tunnel) carry(out nethttp.ResponseWriter, response *nethttp.Response, patience time.Duration) bool {
	defer response.Body.Close()
	writer := out.(http2Writer)
	out.WriteHeader(response.StatusCode)
	piece := tunnelPieces.Get().(*[tunnelPiece]byte)
	defer tunnelPieces.Put(piece)
	left := response.ContentLength // -1: nobody knows it
	if response.Body == nethttp.NoBody {
		left = 0
	}
	var stalled *time.Timer
	for left != 0 {
		n, err := response.Body.Read(piece[:])
		last := errors.Is(err, io.EOF) || int64(n) == left
		left -= int64(n)
		if stalled == nil && !last {
			stalled = time.AfterFunc(patience, func() { _ = writer.SetWriteDeadline(time.Now()) })
			defer stalled.Stop()
		} else if stalled != nil {
			stalled.Reset(patience)
		}
		if n > 0 {
			if _, err := out.Write(piece[:n]); err != nil {
				return false
			}
		}
		if last {
			break
		}
		if err != nil {
			return false
		}
		if t.reader.Buffered() == 0 {
			writer.Flush()
		}
		stalled.Stop()
	}
	_ = writer.SetWriteDeadline(time.Now().Add(patience)) // for what is written when the stream's handler has ended
	for name, values := range response.Trailer {
		for _, value := range values {
			out.Header().Add(nethttp.TrailerPrefix+name, value)
		}
	}
	return true
}

// sayable tells whether HTTP/1.1 has words for the request's head.
func sayable(r *nethttp.Request) bool {
	if r.Method == nethttp.MethodConnect || !plainText(r.Method) || !plainText(r.RequestURI) || !plainText(r.Host) {
		return false
	}
	for name, values := range r.Header {
		if !plainText(name) {
			return false
		}
		for _, value := range values {
			if strings.ContainsAny(value, "\r\n\x00") {
				return false
			}
		}
	}
	return true
}

// appendHTTP1 appends the request's head in the words of HTTP/1.1.
func appendHTTP1(b []byte, r *nethttp.Request) []byte {
	b = append(append(append(append(b, r.Method...), ' '), r.RequestURI...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, r.Host...), "\r\n"...)
	for name, values := range r.Header {
		switch name {
		case "Connection", "Transfer-Encoding", "Content-Length", "Host", "Keep-Alive", "Upgrade", "Proxy-Connection", "Expect":
			continue
		}
		for _, value := range values {
			b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		}
	}
	switch {
	case r.ContentLength > 0:
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), r.ContentLength, 10), "\r\n"...)
	case r.ContentLength < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(b, "\r\n"...)
}

// plainText tells whether a word may stand in a request line: no blanks, no control characters.
func plainText(text string) bool {
	return text != "" && strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f }) < 0
}
