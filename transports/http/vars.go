package http

import (
	"bytes"

	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
)

// AppendVars appends the request as a uwsgi variable block to dst: the CGI
// variables of RFC 3875 that uWSGI sets, then each header field as HTTP_NAME,
// in order of first appearance. Repeated fields are joined.
func (h *Head) AppendVars(dst []byte, c *transports.Conn) ([]byte, error) {
	if !uwsgi.Fits(len(h.Method)) || !uwsgi.Fits(len(h.Target)) || !uwsgi.Fits(len(h.host)) {
		return dst, errLong
	}
	path, query, err := h.split()
	if err != nil {
		return dst, err
	}
	if c.Misdirected != nil && c.Misdirected(h.host) {
		return dst, errMisdirected
	}
	dst = uwsgi.AppendVar(dst, "REQUEST_METHOD", h.Method)
	dst = uwsgi.AppendVar(dst, "REQUEST_URI", h.Target)
	if dst, err = appendPath(dst, path, c.KeepSlash); err != nil {
		return dst, err
	}
	dst = uwsgi.AppendVar(dst, "QUERY_STRING", query)
	if c.Protocol != "" {
		dst = uwsgi.AppendVar(dst, "SERVER_PROTOCOL", c.Protocol)
	} else if h.Minor == 1 {
		dst = uwsgi.AppendVar(dst, "SERVER_PROTOCOL", "HTTP/1.1")
	} else {
		dst = uwsgi.AppendVar(dst, "SERVER_PROTOCOL", "HTTP/1.0")
	}
	if !c.NoScript {
		dst = uwsgi.AppendVar(dst, "SCRIPT_NAME", "")
	}
	if c.HostName && len(h.host) > 0 {
		dst = uwsgi.AppendVar(dst, "SERVER_NAME", h.host)
	} else {
		dst = uwsgi.AppendVar(dst, "SERVER_NAME", c.ServerName)
	}
	port := c.ServerPort
	if port == "" {
		port = c.Port
	}
	dst = uwsgi.AppendVar(dst, "SERVER_PORT", port)
	if c.Router {
		dst = uwsgi.AppendVar(dst, "UWSGI_ROUTER", "http")
	}
	if c.RemotePort != "" {
		dst = uwsgi.AppendVar(dst, "REMOTE_PORT", c.RemotePort)
	}
	if c.ServerAddr != "" {
		dst = uwsgi.AppendVar(dst, "SERVER_ADDR", c.ServerAddr)
	}
	dst = uwsgi.AppendVar(dst, "REMOTE_ADDR", c.RemoteAddr)
	for i := range h.fields[:h.nfields] {
		if dst, err = h.appendField(dst, i); err != nil {
			return dst, err
		}
	}
	return append(append(dst, c.Extra...), c.Vars...), nil
}

// Belongs refuses a request for a host that does not belong to the connection, as AppendVars does.
func (h *Head) Belongs(c *transports.Conn) error {
	if c.Misdirected == nil {
		return nil
	}
	if _, _, err := h.split(); err != nil {
		return err
	}
	if c.Misdirected(h.host) {
		return errMisdirected
	}
	return nil
}

// split takes the target apart; the fragment that no client may send is cut off the path.
func (h *Head) split() (path, query []byte, err error) {
	target := h.Target
	if isAbsolute(target) { // RFC 9112, 3.2.2: the authority takes the place of Host
		rest := target[bytes.Index(target, []byte("://"))+3:]
		slash := bytes.IndexAny(rest, "/?")
		if slash < 0 {
			slash = len(rest)
		}
		if slash == 0 {
			return nil, nil, errTarget
		}
		h.setHost(rest[:slash])
		target = rest[slash:]
	}
	path = target
	if mark := bytes.IndexByte(target, '?'); mark >= 0 {
		path, query = target[:mark], target[mark+1:]
	}
	if hash := bytes.IndexByte(path, '#'); hash >= 0 {
		path = path[:hash]
	}
	if len(path) == 0 {
		path = []byte("/")
	}
	return path, query, nil
}

func (h *Head) setHost(authority []byte) {
	h.host = authority
	for i := range h.fields[:h.nfields] {
		if equalFold(h.fields[i].name, "host") {
			h.fields[i].value = authority
			return
		}
	}
	if h.nfields < MaxFields {
		h.fields[h.nfields] = field{[]byte("Host"), authority}
		h.nfields++
	}
}

// appendPath appends PATH_INFO: percent-decoded, but for slashes if those are kept, then without dot segments.
func appendPath(dst, path []byte, keepSlash bool) ([]byte, error) {
	dst = append(dst, byte(len("PATH_INFO")), 0)
	dst = append(dst, "PATH_INFO"...)
	size := len(dst)
	dst = append(dst, 0, 0)
	start := len(dst)
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
				return dst, errTarget
			}
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			if c == 0 {
				return dst, errTarget
			}
			if c == '/' && keepSlash {
				dst = append(dst, path[i:i+2]...)
				c = path[i+2]
			}
			i += 2
		}
		dst = append(dst, c)
	}
	if bytes.Contains(dst[start:], []byte("/.")) {
		dst = dst[:start+removeDots(dst[start:])]
	}
	n := len(dst) - start // no longer than the target, which fits
	dst[size], dst[size+1] = byte(n), byte(n>>8)
	return dst, nil
}

// removeDots resolves "." and ".." segments in place (RFC 3986, 5.2.4) and
// returns the new length. Empty segments stay.
func removeDots(path []byte) int {
	out := 0
	for i := 0; i < len(path); {
		end := i + 1
		for end < len(path) && path[end] != '/' {
			end++
		}
		segment := path[i:end]
		switch {
		case string(segment) == "/.":
			if end == len(path) {
				path[out] = '/'
				out++
			}
		case string(segment) == "/..":
			for out > 0 {
				out--
				if path[out] == '/' {
					break
				}
			}
			if end == len(path) {
				path[out] = '/'
				out++
			}
		default:
			out += copy(path[out:], segment)
		}
		i = end
	}
	return out
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// appendField appends field i and all later ones of its name as one variable.
func (h *Head) appendField(dst []byte, i int) ([]byte, error) {
	f := &h.fields[i]
	if equalFold(f.name, "proxy") { // would set HTTP_PROXY, which HTTP clients obey
		return dst, nil
	}
	for j := range i {
		if len(h.fields[j].name) == len(f.name) && bytes.EqualFold(h.fields[j].name, f.name) {
			return dst, nil
		}
	}
	if !uwsgi.Fits(len("HTTP_") + len(f.name)) {
		return dst, errLong
	}
	dst = appendName(dst, f.name)
	size := len(dst)
	dst = append(dst, 0, 0)
	start := len(dst)
	dst = append(dst, f.value...)
	separator := ", "
	if equalFold(f.name, "cookie") {
		separator = "; " // RFC 6265, 5.4
	}
	for j := i + 1; j < h.nfields; j++ {
		if other := &h.fields[j]; len(other.name) == len(f.name) && bytes.EqualFold(other.name, f.name) {
			dst = append(dst, separator...)
			dst = append(dst, other.value...)
		}
	}
	n := len(dst) - start
	if !uwsgi.Fits(n) {
		return dst, errLong
	}
	dst[size], dst[size+1] = byte(n), byte(n>>8)
	return dst, nil
}

func appendName(dst, name []byte) []byte {
	prefix := "HTTP_"
	if equalFold(name, "content-type") || equalFold(name, "content-length") {
		prefix = ""
	}
	n := len(prefix) + len(name)
	dst = append(dst, byte(n), byte(n>>8))
	dst = append(dst, prefix...)
	for _, c := range name {
		switch {
		case c == '-':
			c = '_'
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
