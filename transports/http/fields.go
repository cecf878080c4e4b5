package http

import (
	"bytes"
	"strconv"
)

// Host is the Host header, or the authority of an absolute target once AppendVars has taken that apart.
func (h *Head) Host() []byte { return h.host }

// Fields calls yield with each header field, in order, until it returns false.
func (h *Head) Fields(yield func(name, value []byte) bool) {
	for i := range h.fields[:h.nfields] {
		if !yield(h.fields[i].name, h.fields[i].value) {
			return
		}
	}
}

// Field returns the value of the first field of that name (lower case).
func (h *Head) Field(name string) (value []byte, there bool) {
	for i := range h.fields[:h.nfields] {
		if equalFold(h.fields[i].name, name) {
			return h.fields[i].value, true
		}
	}
	return nil, false
}

// Is tells whether a field's name, or another ASCII text, is want (lower case) without regard to case.
func Is(text []byte, want string) bool { return equalFold(text, want) }

// Websocket tells whether the client asks for one (RFC 6455, 4.1).
func (h *Head) Websocket() bool {
	value, _ := h.Field("upgrade")
	_, keyed := h.Field("sec-websocket-key")
	return h.Upgrade && keyed && h.Minor == 1 && string(h.Method) == "GET" && hasElement(value, "websocket")
}

// Measured makes a head whose body came in chunks that of a body of this many bytes.
func (h *Head) Measured(length int64) {
	h.Chunked, h.ContentLength = false, length
	for i := range h.fields[:h.nfields] {
		if equalFold(h.fields[i].name, "transfer-encoding") {
			h.fields[i] = field{[]byte("Content-Length"), strconv.AppendInt(nil, length, 10)}
			return
		}
	}
}

// hopByHop are the fields that concern one connection only (RFC 9110, 7.6.1).
var hopByHop = []string{"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"}

// AppendRequest appends the head to dst as a request to another server: without the fields that are this
// connection's own, those that Connection names and those without (lower case), and with more lines before its end.
// upgrade: the client's wish for another protocol is passed on.
func (h *Head) AppendRequest(dst []byte, more string, upgrade bool, without ...string) []byte {
	dst = append(dst, h.Method...)
	dst = append(dst, ' ')
	dst = append(dst, h.Target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	named, _ := h.Field("connection")
next:
	for i := range h.fields[:h.nfields] {
		f := &h.fields[i]
		for _, name := range hopByHop {
			if equalFold(f.name, name) {
				continue next
			}
		}
		for _, name := range without {
			if equalFold(f.name, name) {
				continue next
			}
		}
		framing := equalFold(f.name, "host") || equalFold(f.name, "content-length") || equalFold(f.name, "transfer-encoding")
		if !framing && len(named) > 0 && hasElement(named, string(bytes.ToLower(f.name))) {
			continue
		}
		dst = append(dst, f.name...)
		dst = append(dst, ": "...)
		dst = append(dst, f.value...)
		dst = append(dst, "\r\n"...)
	}
	if upgrade {
		if value, there := h.Field("upgrade"); there {
			dst = append(dst, "Connection: upgrade\r\nUpgrade: "...)
			dst = append(dst, value...)
			dst = append(dst, "\r\n"...)
		}
	}
	dst = append(dst, more...)
	return append(dst, "\r\n"...)
}
