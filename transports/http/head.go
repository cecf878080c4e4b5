// Package http turns HTTP/1 request heads into uwsgi variable blocks.
//
// It is strict where laxness has cost others a request smuggling hole: what
// RFC 9112 lets a server refuse is refused, with the status to answer. Nothing
// here touches a socket, and parsing allocates nothing.
package http

import (
	"bytes"

	"envoxyd/protocol/uwsgi"
)

// MaxFields is the largest number of header fields in one request.
const MaxFields = 256

// Error is a request that is refused, with the status to answer it with.
type Error struct {
	Status int
	Reason string
}

func (e *Error) Error() string { return e.Reason }

func refuse(status int, reason string) *Error { return &Error{status, reason} }

// The ways in which a head is refused.
var (
	errLine        = refuse(400, "malformed request line")
	errMethod      = refuse(400, "malformed method")
	errTarget      = refuse(400, "malformed request target")
	errMisdirected = refuse(421, "the host demands a client certificate that this connection was not asked for")
	errVersion     = refuse(505, "unsupported HTTP version")
	errEnding      = refuse(400, "line that does not end in CRLF")
	errField       = refuse(400, "malformed header field")
	errFold        = refuse(400, "header field folded over lines")
	errFields      = refuse(431, "too many header fields")
	errLong        = refuse(431, "request line or header field: "+uwsgi.ErrTooLong.Error())
	errHost        = refuse(400, "missing or repeated Host")
	errLength      = refuse(400, "malformed or repeated Content-Length")
	errType        = refuse(400, "repeated Content-Type")
	errFraming     = refuse(400, "both Content-Length and Transfer-Encoding")
	errCoding      = refuse(501, "unsupported Transfer-Encoding")
	errCodingHere  = refuse(400, "Transfer-Encoding in an HTTP/1.0 request")
)

type field struct{ name, value []byte }

// Head is one parsed request head. Its slices alias the buffer that was parsed.
// The zero value is ready; a Head may be used again and again.
type Head struct {
	Method, Target []byte
	Minor          int   // HTTP/1.Minor
	ContentLength  int64 // -1: none given
	Chunked        bool
	Continue       bool // Expect: 100-continue
	Close          bool // Connection: close
	KeepAlive      bool // Connection: keep-alive
	Upgrade        bool // Connection: upgrade

	host    []byte
	typed   bool // there was a Content-Type
	fields  [MaxFields]field
	nfields int
}

// Parse reads one request head from the start of buf. It returns the number of
// bytes that the head takes, 0 with a nil error when buf does not hold all of
// it yet, or an *Error.
func (h *Head) Parse(buf []byte) (int, error) {
	start := 0
	if len(buf) >= 2 && buf[0] == '\r' && buf[1] == '\n' { // RFC 9112, 2.2
		start = 2
	}
	line, at, err := cutLine(buf, start)
	if at == 0 || err != nil {
		return 0, err
	}
	if err := h.parseLine(line); err != nil {
		return 0, err
	}
	h.reset()
	for {
		line, next, err := cutLine(buf, at)
		if next == 0 || err != nil {
			return 0, err
		}
		at = next
		if len(line) == 0 {
			return at, h.finish()
		}
		if err := h.parseField(line); err != nil {
			return 0, err
		}
	}
}

func (h *Head) reset() {
	h.ContentLength, h.Chunked, h.Continue = -1, false, false
	h.Close, h.KeepAlive, h.Upgrade = false, false, false
	h.host, h.typed, h.nfields = nil, false, 0
}

// cutLine returns the line that starts at start and where the next one does, 0 if it is not whole.
func cutLine(buf []byte, start int) (line []byte, next int, err error) {
	end := bytes.IndexByte(buf[start:], '\n')
	if end < 0 {
		return nil, 0, nil
	}
	if end == 0 || buf[start+end-1] != '\r' {
		return nil, 0, errEnding
	}
	return buf[start : start+end-1], start + end + 1, nil
}

func (h *Head) parseLine(line []byte) error {
	space := bytes.IndexByte(line, ' ')
	if space <= 0 {
		return errLine
	}
	h.Method = line[:space]
	for _, c := range h.Method {
		if !isToken[c] {
			return errMethod
		}
	}
	rest := line[space+1:]
	space = bytes.IndexByte(rest, ' ')
	if space <= 0 {
		return errLine
	}
	h.Target = rest[:space]
	for _, c := range h.Target {
		if c <= ' ' || c == 0x7f {
			return errTarget
		}
	}
	version := rest[space+1:]
	switch string(version) {
	case "HTTP/1.1":
		h.Minor = 1
	case "HTTP/1.0":
		h.Minor = 0
	default:
		if bytes.HasPrefix(version, []byte("HTTP/")) && bytes.IndexByte(version, ' ') < 0 {
			return errVersion
		}
		return errLine
	}
	if !h.targetFits() {
		return errTarget
	}
	return nil
}

// targetFits: the forms of RFC 9112, 3.2, each with the methods that it is for.
func (h *Head) targetFits() bool {
	switch {
	case h.Target[0] == '/' || isAbsolute(h.Target):
		return true
	case string(h.Target) == "*":
		return string(h.Method) == "OPTIONS"
	}
	return string(h.Method) == "CONNECT"
}

func isAbsolute(target []byte) bool {
	return hasFold(target, "http://") || hasFold(target, "https://")
}

func hasFold(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && equalFold(text[:len(prefix)], prefix)
}

// equalFold compares ASCII without regard to case; want is lower case.
func equalFold(text []byte, want string) bool {
	if len(text) != len(want) {
		return false
	}
	for i := range text {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

func (h *Head) parseField(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return errFold
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return errField
	}
	name, value := line[:colon], trim(line[colon+1:])
	underscore := false
	for _, c := range name {
		if !isToken[c] {
			return errField
		}
		underscore = underscore || c == '_'
	}
	if !isText(value) {
		return errField
	}
	if underscore { // the application could not tell X_Foo from X-Foo
		return nil
	}
	if err := h.noteFraming(name, value); err != nil {
		return err
	}
	if h.nfields == MaxFields {
		return errFields
	}
	h.fields[h.nfields] = field{name, value}
	h.nfields++
	return nil
}

// isText tells whether text holds no control characters but tabs.
func isText(text []byte) bool {
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isField tells whether a line is a name and a value.
func isField(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return false
	}
	for _, c := range line[:colon] {
		if !isToken[c] {
			return false
		}
	}
	return isText(line[colon+1:])
}

func trim(value []byte) []byte {
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
		value = value[:len(value)-1]
	}
	return value
}

// noteFraming keeps what the fields say about this connection and the body.
func (h *Head) noteFraming(name, value []byte) error {
	switch len(name) {
	case len("host"):
		if equalFold(name, "host") {
			if h.host != nil {
				return errHost
			}
			h.host = value
		}
	case len("expect"):
		if equalFold(name, "expect") && equalFold(value, "100-continue") {
			h.Continue = true
		}
	case len("connection"):
		if equalFold(name, "connection") {
			h.Close = h.Close || hasElement(value, "close")
			h.KeepAlive = h.KeepAlive || hasElement(value, "keep-alive")
			h.Upgrade = h.Upgrade || hasElement(value, "upgrade")
		}
	case len("content-type"):
		if equalFold(name, "content-type") {
			if h.typed {
				return errType
			}
			h.typed = true
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			n, ok := digits(value)
			if h.ContentLength >= 0 || !ok {
				return errLength
			}
			h.ContentLength = n
		}
	case len("transfer-encoding"):
		if equalFold(name, "transfer-encoding") {
			if h.Chunked || !equalFold(value, "chunked") {
				return errCoding
			}
			h.Chunked = true
		}
	}
	return nil
}

// digits reads a Content-Length: decimal digits only, within 63 bits.
func digits(text []byte) (int64, bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// hasElement tells whether a comma-separated list holds want (lower case).
func hasElement(list []byte, want string) bool {
	for len(list) > 0 {
		element := list
		if comma := bytes.IndexByte(list, ','); comma >= 0 {
			element, list = list[:comma], list[comma+1:]
		} else {
			list = nil
		}
		if equalFold(trim(element), want) {
			return true
		}
	}
	return false
}

func (h *Head) finish() error {
	if h.Minor == 1 && len(h.host) == 0 { // RFC 9112, 3.2: also when the target names the host
		return errHost
	}
	if h.Chunked && h.ContentLength >= 0 {
		return errFraming
	}
	if h.Chunked && h.Minor == 0 {
		return errCodingHere
	}
	return nil
}

// Persistent tells whether the client lets the connection live on (RFC 9112, 9.3): one of
// HTTP/1.0 has to ask for it.
func (h *Head) Persistent() bool { return (h.Minor == 1 || h.KeepAlive) && !h.Close }

// Refusal is an *Error for a status that the caller found out by itself.
func Refusal(status int, reason string) *Error { return refuse(status, reason) }

// isToken marks RFC 9110's tchar.
var isToken = func() (table [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		table[c] = true
	}
	return
}()
