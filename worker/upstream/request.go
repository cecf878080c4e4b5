package upstream

import (
	"errors"
	"strconv"
	"strings"

	"envoxyd/protocol/uwsgi"
)

// Errors of requests that cannot be made.
var (
	ErrBlock  = errors.New("the variables are longer than a uwsgi packet can be")
	ErrMethod = errors.New("the request method is none of HTTP")
)

// NoBody is the length of the body of a request that has none.
const NoBody = -1

// UWSGI is what a uwsgi packet says beside the variables.
type UWSGI struct{ Modifier1, Modifier2 byte }

// Append appends the packet of a request. length is what CONTENT_LENGTH tells, since rules may have changed that, and a body
// that came in chunks had none.
func (u UWSGI) Append(dst, vars []byte, length int64) ([]byte, error) {
	start := len(dst)
	dst = append(uwsgi.AppendHeader(dst, uwsgi.Header{Modifier1: u.Modifier1, Modifier2: u.Modifier2}), vars...)
	told, given := uwsgi.Last(vars, "CONTENT_LENGTH")
	_, coded := uwsgi.Last(vars, "HTTP_TRANSFER_ENCODING")
	if coded || !given && length >= 0 || string(told) != strconv.FormatInt(max(length, 0), 10) && (len(told) > 0 || length > 0) {
		dst = dst[:len(dst)-len(vars)]
		for rest := vars; len(rest) > 0; {
			name, value, more, err := uwsgi.Next(rest)
			if err != nil {
				return dst, err
			}
			if rest = more; string(name) != "CONTENT_LENGTH" && string(name) != "HTTP_TRANSFER_ENCODING" {
				dst = uwsgi.AppendVar(dst, name, value)
			}
		}
		if given || length >= 0 {
			dst = uwsgi.AppendVar(dst, "CONTENT_LENGTH", strconv.FormatInt(max(length, 0), 10))
		}
	}
	size := len(dst) - start - uwsgi.HeaderSize
	if size > uwsgi.MaxBlock {
		return dst, ErrBlock
	}
	uwsgi.AppendHeader(dst[:start], uwsgi.Header{Modifier1: u.Modifier1, Modifier2: u.Modifier2, Size: size})
	return dst, nil
}

// HTTP is what an HTTP request says beside the variables.
type HTTP struct {
	Host   string // in place of the client's; "": that stays
	Target string // in place of REQUEST_URI; "": that stays
}

// own are the variables of header fields that concern the client's connection or its body's framing (RFC 9110, 7.6.1), and
// those that are made anew.
var own = map[string]bool{
	"HTTP_CONNECTION": true, "HTTP_KEEP_ALIVE": true, "HTTP_PROXY_CONNECTION": true, "HTTP_TE": true, "HTTP_TRAILER": true,
	"HTTP_UPGRADE": true, "HTTP_EXPECT": true, "HTTP_TRANSFER_ENCODING": true, "HTTP_CONTENT_LENGTH": true, "HTTP_CONTENT_TYPE": true,
	"HTTP_PROXY": true, "HTTP_X_FORWARDED_FOR": true,
}

// Append appends the head of an HTTP/1.1 request that wants the connection to end. Values end at their first control byte: a
// variable of a rule's may be made of a path, whose percent signs were read.
func (h HTTP) Append(dst, vars []byte, length int64) ([]byte, error) {
	method, _ := uwsgi.Last(vars, "REQUEST_METHOD")
	if !isToken(method) {
		return dst, ErrMethod
	}
	dst = append(append(dst, method...), ' ')
	target := []byte(h.Target)
	if h.Target == "" {
		target, _ = uwsgi.Last(vars, "REQUEST_URI")
	}
	dst = append(appendTarget(dst, target), " HTTP/1.1\r\n"...)
	named, _ := uwsgi.Last(vars, "HTTP_CONNECTION")
	var remote, forwarded, kind []byte
	host := false
	for rest := vars; len(rest) > 0; {
		name, value, more, err := uwsgi.Next(rest)
		if err != nil {
			return dst, err
		}
		rest = more
		switch field := string(name); {
		case field == "REMOTE_ADDR":
			remote = value
		case field == "HTTP_X_FORWARDED_FOR":
			forwarded = value
		case field == "CONTENT_TYPE":
			kind = value
		case field == "HTTP_HOST" && h.Host != "":
		case len(field) > len("HTTP_") && strings.HasPrefix(field, "HTTP_") && !own[field] && isToken(name) && !names(named, field[5:]):
			host = host || field == "HTTP_HOST"
			dst = appendField(appendName(dst, field[5:]), value)
		}
	}
	if h.Host != "" || !host { // HTTP/1.1 asks for one
		dst = appendField(append(dst, "Host"...), []byte(h.Host))
	}
	if len(kind) > 0 {
		dst = appendField(append(dst, "Content-Type"...), kind)
	}
	if length >= 0 {
		dst = appendField(append(dst, "Content-Length"...), strconv.AppendInt(nil, length, 10))
	}
	dst = append(dst, "Connection: close\r\n"...)
	if len(forwarded) > 0 && len(remote) > 0 {
		forwarded = append(append(forwarded[:len(forwarded):len(forwarded)], ", "...), remote...)
	} else if len(remote) > 0 {
		forwarded = remote
	}
	if len(forwarded) > 0 {
		dst = appendField(append(dst, "X-Forwarded-For"...), forwarded)
	}
	return append(dst, "\r\n"...), nil
}

const upperHex = "0123456789ABCDEF"

// appendTarget appends what a request line asks for: blanks and control bytes, which only a rule or another protocol's client
// can have put there, are percent-encoded.
func appendTarget(dst, target []byte) []byte {
	if len(target) == 0 {
		return append(dst, '/')
	}
	for _, b := range target {
		if b <= ' ' || b == 0x7f {
			dst = append(dst, '%', upperHex[b>>4], upperHex[b&15])
		} else {
			dst = append(dst, b)
		}
	}
	return dst
}

// appendName appends a field's name as uWSGI does: X_Y becomes X-Y, and X_YZ X-Yz.
func appendName(dst []byte, name string) []byte {
	first := true
	for _, b := range []byte(name) {
		switch {
		case b == '_':
			b = '-'
		case !first && 'A' <= b && b <= 'Z':
			b += 'a' - 'A'
		}
		first = b == '-'
		dst = append(dst, b)
	}
	return dst
}

// appendField appends the value of a field, and its end.
func appendField(dst, value []byte) []byte {
	dst = append(dst, ": "...)
	for _, b := range value {
		if b < ' ' && b != '\t' || b == 0x7f {
			break
		}
		dst = append(dst, b)
	}
	return append(dst, "\r\n"...)
}

// names tells whether a Connection field names this one, of which the variable's name is given without HTTP_.
func names(connection []byte, field string) bool {
	if len(connection) == 0 {
		return false
	}
	for item := range strings.SplitSeq(string(connection), ",") {
		if strings.EqualFold(strings.ReplaceAll(strings.TrimSpace(item), "-", "_"), field) {
			return field != "HOST"
		}
	}
	return false
}

// isToken tells whether text is a name as RFC 9110, 5.6.2, has them.
func isToken(text []byte) bool {
	for _, b := range text {
		if (b|0x20 < 'a' || b|0x20 > 'z') && (b < '0' || b > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(b)) {
			return false
		}
	}
	return len(text) > 0
}
