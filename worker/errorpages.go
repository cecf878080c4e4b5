package worker

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"envoxyd/transports/http"
)

// maxErrorPage bounds a page, in bytes.
const maxErrorPage = 1 << 20

// errorPages are the files for the server's own error answers (--error-page-403 and kin), by status. The first of a
// status that can be read is the page; it is read anew each time, as by uWSGI.
type errorPages map[int][]string

// body is what the client gets to read with the status: a page, or the phrase of the status.
func (e errorPages) body(status int) (kind string, text []byte) {
	for _, name := range e[status] {
		if text, err := readPage(name); err == nil {
			return "text/html", text
		}
	}
	return "text/plain", []byte(http.Phrase(status))
}

func readPage(name string) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0) // it may be a pipe
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxErrorPage:
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, maxErrorPage)
	}
	return io.ReadAll(io.LimitReader(file, maxErrorPage))
}

// answer is the server's own answer: a whole response over HTTP/1.1 that ends the connection. more are further header
// fields, each with its CRLF. A HEAD request gets no body.
func (e errorPages) answer(status int, more string, head bool) (text []byte, headSize, fields int) {
	kind, body := e.body(status)
	text = fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n", status, http.Phrase(status), kind, len(body), more)
	headSize, fields = len(text), 3
	if !head {
		text = append(text, body...)
	}
	return text, headSize, fields
}
