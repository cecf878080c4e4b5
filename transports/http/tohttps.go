package http

import (
	"bytes"

	"envoxyd/transports"
)

// ToHTTPS answers each request with a redirection to the same at https (--http-to-https), and ends the connection. Bodies are not
// waited for.
var ToHTTPS = transports.Transport{New: func() transports.Receiver { return new(redirector) }, Refuses: true, Addressed: true}

type redirector struct {
	receiver
	answer []byte
}

// Receive implements transports.Receiver.
func (r *redirector) Receive(c *transports.Conn, data, _ []byte) (q transports.Request) {
	if !r.parse(c, data, &q) {
		return q
	}
	r.answer, q.Err = r.head.AppendRedirection(r.answer[:0], c.ServerName)
	if q.Err == nil {
		q.Answer = r.answer
	}
	return q
}

// AppendRedirection appends the answer that ToHTTPS gives; name is this host's, for requests that name none.
func (h *Head) AppendRedirection(dst []byte, name string) ([]byte, error) {
	dst, err := h.appendSecure(append(dst, "HTTP/1.1 301 Moved Permanently\r\nLocation: "...), name)
	return append(dst, "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"...), err
}

// appendSecure appends the request's address with https in place of http, and without its port. The host is the client's own word,
// or name where it says none.
func (h *Head) appendSecure(dst []byte, name string) ([]byte, error) {
	if _, _, err := h.split(); err != nil { // which also finds the host of an absolute target
		return dst, err
	}
	target := h.Target
	if isAbsolute(target) {
		target = target[bytes.Index(target, []byte("://"))+3:]
		target = target[len(h.host):]
	}
	host := withoutPort(h.host)
	if len(h.host) == 0 {
		host = []byte(name)
	}
	if !isHost(host) {
		return dst, errHostName
	}
	dst = append(append(dst, "https://"...), host...)
	if len(target) == 0 || target[0] != '/' { // OPTIONS *, CONNECT host:port, http://host?query
		dst = append(dst, '/')
		if len(target) == 0 || target[0] != '?' {
			return dst, nil
		}
	}
	const digits = "0123456789ABCDEF"
	for _, b := range target {
		if b <= ' ' || b > '~' || b == '"' || b == '<' || b == '>' || b == '\\' {
			dst = append(dst, '%', digits[b>>4], digits[b&15])
			continue
		}
		dst = append(dst, b)
	}
	return dst, nil
}

var errHostName = refuse(400, "malformed Host")

func withoutPort(host []byte) []byte {
	if len(host) > 0 && host[0] == '[' { // IPv6
		if end := bytes.IndexByte(host, ']'); end >= 0 && (end+1 == len(host) || host[end+1] == ':') {
			return host[:end+1]
		}
		return host
	}
	if colon := bytes.IndexByte(host, ':'); colon >= 0 {
		return host[:colon]
	}
	return host
}

// isHost tells whether a host is one of the usual form: nothing else of what a client says becomes an address.
func isHost(host []byte) bool {
	inner, ip6 := host, false
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		inner, ip6 = host[1:len(host)-1], true
	}
	if len(inner) == 0 || len(inner) > 255 {
		return false
	}
	for _, b := range inner {
		letter, digit := b|0x20 >= 'a' && b|0x20 <= 'z', b >= '0' && b <= '9'
		if !letter && !digit && b != '.' && !(ip6 && b == ':') && (ip6 || b != '-' && b != '_') {
			return false
		}
	}
	return true
}
