package http

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// MaxResponseHead is how long the head of another server's response may be, in bytes.
const MaxResponseHead = 64 << 10

// Errors of responses.
var (
	ErrNoResponse    = errors.New("the server closed the connection without an answer")
	ErrResponseHead  = fmt.Errorf("the head of the answer is longer than %d bytes", MaxResponseHead)
	ErrStatusLine    = errors.New("malformed status line")
	ErrResponseField = errors.New("malformed header field in a response")
	ErrResponseBody  = errors.New("the length of a response is given twice, or malformed")
)

// ResponseHead is one parsed response head. Its slices alias the buffer that was parsed. The zero value is ready; one
// may be used again and again.
type ResponseHead struct {
	Status  int
	Minor   int   // HTTP/1.Minor
	Length  int64 // Content-Length; -1: none given
	Chunked bool
	Close   bool // Connection: close
	Keep    bool // Connection: keep-alive
	Said    bool // there is a Connection field

	fields  [][2]int // where each line begins and ends, without its end of line
	buf     []byte
	lineEnd int // of the status line
}

// Parse reads one response head from the start of buf. It returns the number of bytes that the head takes, 0 with a
// nil error when buf does not hold all of it yet.
func (r *ResponseHead) Parse(buf []byte) (int, error) {
	line, at, err := cutLine(buf, 0)
	if err != nil {
		return 0, ErrStatusLine
	}
	if at == 0 {
		if !begins(buf, []byte("HTTP/1.")) {
			return 0, ErrStatusLine
		}
		return 0, nil
	}
	*r = ResponseHead{Length: -1, fields: r.fields[:0], buf: buf, lineEnd: len(line)}
	if err := r.parseStatus(line); err != nil {
		return 0, err
	}
	for {
		line, next, err := cutLine(buf, at)
		if err != nil {
			return 0, ErrResponseField
		}
		if next == 0 {
			return 0, nil
		}
		if len(line) == 0 {
			return next, nil
		}
		if err := r.parseField(line); err != nil {
			return 0, err
		}
		r.fields = append(r.fields, [2]int{at, at + len(line)})
		at = next
	}
}

func (r *ResponseHead) parseStatus(line []byte) error {
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[7] != '0' && line[7] != '1' || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' || !isText(line) {
		return ErrStatusLine
	}
	r.Minor = int(line[7] - '0')
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return ErrStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 {
		return ErrStatusLine
	}
	return nil
}

func (r *ResponseHead) parseField(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !isText(line) {
		return ErrResponseField
	}
	name := line[:colon]
	for _, c := range name {
		if !isToken[c] {
			return ErrResponseField
		}
	}
	switch value := trim(line[colon+1:]); {
	case equalFold(name, "content-length"):
		n, ok := digits(value)
		if !ok || r.Length >= 0 && r.Length != n {
			return ErrResponseBody
		}
		r.Length = n
	case equalFold(name, "transfer-encoding"):
		if r.Chunked || !equalFold(value, "chunked") {
			return ErrResponseBody
		}
		r.Chunked = true
	case equalFold(name, "connection"):
		r.Said = true
		r.Close = r.Close || hasElement(value, "close")
		r.Keep = r.Keep || hasElement(value, "keep-alive")
	}
	return nil
}

// Bodiless tells whether no body follows, whatever the fields say (RFC 9112, 6.3). head: the request was a HEAD one.
func (r *ResponseHead) Bodiless(head bool) bool {
	return head || r.Status < 200 || r.Status == 204 || r.Status == 304
}

// Persistent tells whether the server lets the connection live on.
func (r *ResponseHead) Persistent() bool { return !r.Close && (r.Minor == 1 || r.Keep) }

// Append appends the head to dst without the fields of these names (lower case), and with more lines, each with its
// end, before the end of the head.
func (r *ResponseHead) Append(dst []byte, more string, without ...string) []byte {
	dst = append(dst, r.buf[:r.lineEnd]...)
	dst = append(dst, "\r\n"...)
next:
	for _, f := range r.fields {
		line := r.buf[f[0]:f[1]]
		name := line[:bytes.IndexByte(line, ':')]
		for _, out := range without {
			if equalFold(name, out) {
				continue next
			}
		}
		dst = append(dst, line...)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, more...)
	return append(dst, "\r\n"...)
}

// Field returns the value of the first field of that name (lower case).
func (r *ResponseHead) Field(name string) (value []byte, there bool) {
	for _, f := range r.fields {
		line := r.buf[f[0]:f[1]]
		colon := bytes.IndexByte(line, ':')
		if equalFold(line[:colon], name) {
			return trim(line[colon+1:]), true
		}
	}
	return nil, false
}

// StatusText is the reply to a refused request: a whole response that ends the connection.
func (e *Error) StatusText() string {
	text := Phrase(e.Status)
	return "HTTP/1.1 " + strconv.Itoa(e.Status) + " " + text + "\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: " +
		strconv.Itoa(len(text)) + "\r\n\r\n" + text
}
