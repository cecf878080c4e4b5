package routing

import (
	"bytes"
	"fmt"
	"strings"

	"envoxyd/internal/logtext"
)

// What clients send may end up in headers and in the log. Nothing here lets it begin a line of its own.

// isControl tells whether a byte has no place in a header's value.
func isControl(b byte) bool { return b < ' ' && b != '\t' || b == 0x7f }

// cut returns text up to its first control byte.
func cut(text []byte) []byte {
	if i := bytes.IndexFunc(text, func(r rune) bool { return r < 0x80 && isControl(byte(r)) }); i >= 0 {
		return text[:i]
	}
	return text
}

// headerLine returns what may be sent as a header of NAME: VALUE: without blanks before, up to the first control
// byte. It reports whether that is a header at all.
func headerLine(text []byte) ([]byte, bool) {
	line := cut(bytes.TrimLeft(text, " \t"))
	name, _, found := bytes.Cut(line, []byte(":"))
	return line, found && isToken(name)
}

// isToken tells whether text is a name as RFC 9110 has them.
func isToken(text []byte) bool {
	for _, b := range text {
		if (b|0x20 < 'a' || b|0x20 > 'z') && (b < '0' || b > '9') && !bytes.ContainsRune([]byte("!#$%&'*+-.^_`|~"), rune(b)) {
			return false
		}
	}
	return len(text) > 0
}

const upperHex = "0123456789ABCDEF"

// appendEscaped appends text with those bytes percent-encoded that are asked for.
func appendEscaped(to, text []byte, escape func(b byte) bool) []byte {
	for _, b := range text {
		if escape(b) {
			to = append(to, '%', upperHex[b>>4], upperHex[b&15])
		} else {
			to = append(to, b)
		}
	}
	return to
}

// statusLine reads "403" or "403 Reason"; a number alone gets the reason that RFC 9110 has for it.
func statusLine(text []byte) (string, bool) {
	text = cut(text)
	if len(text) < 3 || text[0] < '2' || text[0] > '9' || !isDigit(text[1]) || !isDigit(text[2]) {
		return "", false
	}
	if len(text) == 3 {
		return string(text) + " " + reason(string(text)), true
	}
	return string(text), text[3] == ' '
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// reason returns the text for a status; "Unknown" as uWSGI has it.
func reason(status string) string {
	if text, known := reasons[status]; known {
		return text
	}
	return "Unknown"
}

var reasons = func() map[string]string {
	known := map[string]string{}
	for line := range strings.Lines(`200 OK
201 Created
202 Accepted
203 Non-Authoritative Information
204 No Content
205 Reset Content
206 Partial Content
207 Multi-Status
300 Multiple Choices
301 Moved Permanently
302 Found
303 See Other
304 Not Modified
305 Use Proxy
307 Temporary Redirect
308 Permanent Redirect
400 Bad Request
401 Unauthorized
402 Payment Required
403 Forbidden
404 Not Found
405 Method Not Allowed
406 Not Acceptable
407 Proxy Authentication Required
408 Request Timeout
409 Conflict
410 Gone
411 Length Required
412 Precondition Failed
413 Content Too Large
414 URI Too Long
415 Unsupported Media Type
416 Range Not Satisfiable
417 Expectation Failed
418 I'm a teapot
421 Misdirected Request
422 Unprocessable Content
423 Locked
424 Failed Dependency
425 Too Early
426 Upgrade Required
428 Precondition Required
429 Too Many Requests
431 Request Header Fields Too Large
451 Unavailable For Legal Reasons
500 Internal Server Error
501 Not Implemented
502 Bad Gateway
503 Service Unavailable
504 Gateway Timeout
505 HTTP Version Not Supported
507 Insufficient Storage
508 Loop Detected
511 Network Authentication Required
`) {
		status, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		known[status] = text
	}
	return known
}()

// log adds a line to what the caller logs.
func (r *Request) log(text string) {
	r.logf("[uwsgi-route] %s", text)
}

func (r *Request) logf(format string, args ...any) {
	r.Effects.LogLines = append(r.Effects.LogLines, logtext.Append(nil, fmt.Sprintf(format, args...)))
}
