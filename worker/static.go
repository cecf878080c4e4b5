package worker

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/workerspec"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/static"
)

// sentByCore is the largest part of a file that a core sends by itself, in
// bytes: reading more may mean to wait for the disk, sending more for the client.
const sentByCore = 64 << 10

// files are what the worker sends without asking the application.
type files struct {
	server *static.Server
	extra  []byte // the lines of --add-header
}

// newFiles returns nil where no option asks for files.
func newFiles(spec *workerspec.Spec) (*files, error) {
	if spec.Static == nil {
		return nil, nil
	}
	server, err := static.New(*spec.Static)
	if err != nil {
		return nil, err
	}
	f := &files{server: server}
	for _, line := range spec.Python.AddHeaders {
		f.extra = append(append(f.extra, strings.TrimSpace(line)...), "\r\n"...)
	}
	return f, nil
}

// wants tells whether there may be a file for the request that was just parsed.
func (f *files) wants(c *core) bool {
	method := string(c.request.method)
	return (method == "GET" || method == "HEAD") && f.server.Wants(c.request.path)
}

// sendStatic answers the request with a file. False: there is none, nothing was done.
func (c *core) sendStatic(cn *conn, p *parsed) bool {
	answer, found, err := c.w.files.server.Answer(c.staticRequest(p))
	if err != nil {
		c.w.logf("[uwsgi-fileserve] security error: %v", err)
	}
	if !found {
		return false
	}
	c.begin(cn, p, nil)
	io := c.io
	io.app, io.result, io.switches = -1, 0, 0
	c.w.staticServed.Add(1)
	c.line.Static.Store(c.line.Static.Load() + 1)
	io.status = cUint32(answer.Status)
	io.sent = cUint64(answer.Size)
	c.response.sendfile = answer.File >= 0
	c.sendAnswer(c.staticHead(&answer), &answer)
	c.finish()
	return true
}

func (c *core) staticRequest(p *parsed) *static.Request {
	r := &static.Request{Path: c.request.path, URI: c.request.uri, Head: string(c.request.method) == "HEAD", Now: time.Now()}
	for rest := p.Vars; len(rest) > 0; {
		key, value, more, err := uwsgi.Next(rest)
		if err != nil {
			break
		}
		rest = more
		switch string(key) {
		case "DOCUMENT_ROOT":
			r.DocumentRoot = value
		case "HTTP_ACCEPT_ENCODING":
			r.AcceptEncoding = value
		case "HTTP_IF_MODIFIED_SINCE":
			r.IfModifiedSince = value
		case "HTTP_IF_NONE_MATCH":
			r.IfNoneMatch = value
		case "HTTP_IF_RANGE":
			r.IfRange = value
		case "HTTP_RANGE":
			r.Range = value
		}
	}
	return r
}

// staticHead makes status line and header as the C shim does for the application.
func (c *core) staticHead(a *static.Answer) []byte {
	io := c.io
	head := []byte("HTTP/1.1 ")
	switch {
	case io.flags&reqStatus != 0:
		head = []byte("Status: ")
	case io.flags&reqHTTP10 != 0:
		head = []byte("HTTP/1.0 ")
	}
	phrases := map[int]string{200: "200 OK", 206: "206 Partial Content", 304: "304 Not Modified", 416: "416 Requested Range Not Satisfiable"}
	head = append(append(head, phrases[a.Status]...), "\r\n"...)
	head = append(append(head, a.Header...), c.w.files.extra...)
	if a.Delimited {
		io.result |= resDelimited
	}
	if io.flags&reqDrain != 0 || !a.Delimited && io.flags&reqSayClose != 0 {
		io.result |= resClose
		head = append(head, "Connection: close\r\n"...)
	}
	head = append(head, "\r\n"...)
	io.head_len = cUint32(len(head))
	io.headers = cUint32(bytes.Count(head, []byte("\r\n")) - 2)
	return head
}

// sendAnswer sends a small body along with the head. A goroutine sends a large one.
func (c *core) sendAnswer(head []byte, a *static.Answer) {
	var body []byte
	if a.File >= 0 && a.Size <= sentByCore {
		body = c.readFile(a)
		_ = syscall.Close(a.File)
	}
	if c.sendPair(head, body, sendLast) != writeOK {
		c.io.result |= resBroken
	}
	if a.File < 0 || a.Size <= sentByCore {
		return
	}
	file := os.NewFile(uintptr(a.File), "static file")
	if c.io.result&resBroken != 0 {
		_ = file.Close()
		return
	}
	c.response.file = &fileRest{file: file, offset: a.Offset, size: a.Size, id: c.response.id}
}

func (c *core) readFile(a *static.Answer) []byte {
	if c.fileBuffer == nil {
		c.fileBuffer = make([]byte, sentByCore)
	}
	body := c.fileBuffer[:a.Size]
	for done := 0; done < len(body); {
		n, err := unix.Pread(a.File, body[done:], a.Offset+int64(done))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 { // the file was truncated since it was examined: only a closed connection tells the client
			c.io.result |= resBroken
			return body[:done]
		}
		done += n
	}
	return body
}
