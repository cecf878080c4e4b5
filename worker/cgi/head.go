package cgi

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// MaxHead bounds the head of a program's output, in bytes.
const MaxHead = 64 << 10

// Head is what a program says before its body (RFC 3875, 6).
type Head struct {
	Status  string // three digits and a phrase
	Code    int
	Fields  []Field // of the answer, in their order; without Status, Content-Length and Connection
	Length  int64   // Content-Length; -1: none was given
	Coded   bool    // there is a Transfer-Encoding: the program frames the body by itself
	Ends    bool    // "Connection: close"
	Started int     // where the body begins in the output
}

// Field is a header field.
type Field struct{ Name, Value string }

// HeadError is output that is no answer.
type HeadError struct {
	Reason string
	Early  bool // the program has ended its output before the end of the head
}

func (e *HeadError) Error() string { return "invalid CGI response: " + e.Reason }

// ParseHead reads the head at the start of a program's output; nil, without an error, when it goes on behind data.
// Lines end with LF or CRLF. A program may begin with a status line of HTTP, as those by the name of nph- do; it
// counts as a Status field.
func ParseHead(data []byte) (*Head, error) {
	h := &Head{Length: -1}
	rest := data
	for first := true; ; first = false {
		line, more, whole := bytes.Cut(rest, []byte("\n"))
		if !whole {
			if len(data) >= MaxHead {
				return nil, &HeadError{Reason: fmt.Sprintf("its head is longer than %d bytes", MaxHead)}
			}
			return nil, nil
		}
		if len(data)-len(more) > MaxHead {
			return nil, &HeadError{Reason: fmt.Sprintf("its head is longer than %d bytes", MaxHead)}
		}
		line, rest = bytes.TrimSuffix(line, []byte("\r")), more
		if len(line) == 0 {
			h.Started = len(data) - len(rest)
			return h, h.complete()
		}
		if err := h.line(string(line), first); err != nil {
			return nil, err
		}
	}
}

// line takes one line of the head; first: nothing precedes it.
func (h *Head) line(text string, first bool) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return &HeadError{Reason: "a control character in its head"}
	}
	if first && strings.HasPrefix(text, "HTTP/") {
		_, status, _ := strings.Cut(text, " ")
		return h.setStatus(status)
	}
	name, value, ok := strings.Cut(text, ":")
	if !ok || !token(name) {
		return &HeadError{Reason: fmt.Sprintf("%.60q is no header field", text)}
	}
	value = strings.Trim(value, " \t")
	switch strings.ToLower(name) {
	case "status":
		return h.setStatus(value)
	case "content-length":
		n, err := strconv.ParseUint(value, 10, 62)
		if err != nil || h.Length >= 0 && h.Length != int64(n) {
			return &HeadError{Reason: fmt.Sprintf("its Content-Length %.60q", value)}
		}
		h.Length = int64(n)
	case "connection":
		h.Ends = h.Ends || strings.Contains(strings.ToLower(value), "close")
	case "transfer-encoding":
		h.Coded = true
		h.Fields = append(h.Fields, Field{name, value})
	default:
		h.Fields = append(h.Fields, Field{name, value})
	}
	return nil
}

func (h *Head) setStatus(text string) error {
	code, err := strconv.Atoi(text[:min(len(text), 3)])
	if err != nil || code < 200 || code > 599 || len(text) > 3 && text[3] != ' ' {
		return &HeadError{Reason: fmt.Sprintf("its status %.60q", text)}
	}
	h.Status, h.Code = text, code
	return nil
}

// complete fills in what RFC 3875, 6.3.3, leaves out.
func (h *Head) complete() error {
	if h.Coded && h.Length >= 0 {
		return &HeadError{Reason: "a Transfer-Encoding beside a Content-Length"}
	}
	if h.Code != 0 {
		return nil
	}
	h.Status, h.Code = "200 OK", 200
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, "Location") {
			h.Status, h.Code = "302 Found", 302
		}
	}
	return nil
}

// token tells whether the text is a name by RFC 9110, 5.6.2.
func token(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
