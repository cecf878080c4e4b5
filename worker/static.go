package worker

import (
	"bytes"
	"errors"
	"io"
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
	return &files{server: server}, nil
}

// wants implements responder.
func (f *files) wants(q *info) bool {
	method := string(q.method)
	return (method == "GET" || method == "HEAD") && f.server.Wants(q.path)
}

// respond implements responder: it answers with a file, if there is one.
func (f *files) respond(s *slot, cn *conn, p *parsed) bool {
	answer, found, err := f.server.Answer(s.staticRequest(p))
	if err != nil {
		s.w.logf("[uwsgi-fileserve] security error: %v", err)
	}
	if !found {
		return false
	}
	s.begin(cn, p, nil)
	io := s.io
	io.app, io.result, io.switches = -1, 0, 0
	s.w.staticServed.Add(1)
	s.line.Static.Store(s.line.Static.Load() + 1)
	io.status = cUint32(answer.Status)
	io.sent = cUint64(answer.Size)
	s.response.sendfile = answer.File >= 0
	if io.flags&reqRouted != 0 {
		s.sendFileAnswer(phrases[answer.Status], &answer)
		return true
	}
	s.sendAnswer(s.staticHead(&answer), &answer)
	return true
}

func (s *slot) staticRequest(p *parsed) *static.Request {
	r := &static.Request{Path: s.request.path, URI: s.request.uri, Head: string(s.request.method) == "HEAD", Now: time.Now()}
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
		case "HTTP_IF_MATCH":
			r.IfMatch = value
		case "HTTP_IF_MODIFIED_SINCE":
			r.IfModifiedSince = value
		case "HTTP_IF_NONE_MATCH":
			r.IfNoneMatch = value
		case "HTTP_IF_RANGE":
			r.IfRange = value
		case "HTTP_IF_UNMODIFIED_SINCE":
			r.IfUnmodifiedSince = value
		case "HTTP_RANGE":
			r.Range = value
		}
	}
	return r
}

// phrases are those of answers with files.
var phrases = map[int]string{200: "200 OK", 206: "206 Partial Content", 304: "304 Not Modified", 412: "412 Precondition Failed", 416: "416 Requested Range Not Satisfiable"}

// staticHead makes status line and header of an answer with a file.
func (s *slot) staticHead(a *static.Answer) []byte {
	s.fileFields = append(append(s.fileFields[:0], a.Header...), s.w.extra...)
	return s.fileHeadOf(phrases[a.Status], s.fileFields, a.Delimited)
}

// fileHeadOf makes a head, and notes in io what it says.
func (s *slot) fileHeadOf(status string, fields []byte, delimited bool) []byte {
	io := s.io
	head, result := appendHead(s.fileHead[:0], uint32(io.flags), status, fields, delimited, false)
	io.result |= cUint32(result)
	s.fileHead = head
	io.head_len = cUint32(len(head))
	io.headers = cUint32(bytes.Count(head, []byte("\r\n")) - 2)
	return head
}

// extraFields are the lines of --add-header.
func extraFields(lines []string) (fields []byte) {
	for _, line := range lines {
		fields = append(append(fields, strings.TrimSpace(line)...), "\r\n"...)
	}
	return fields
}

// appendHead makes status line and header as the C shim does for the application. flags are the request's, fields the
// answer's with their CRLFs; delimited: the client can tell where the body ends; ends: the connection is to be closed.
// What it says about the connection is in result.
func appendHead(head []byte, flags uint32, status string, fields []byte, delimited, ends bool) (text []byte, result uint32) {
	switch {
	case flags&reqStatus != 0:
		head = append(head, "Status: "...)
	case flags&reqHTTP10 != 0:
		head = append(head, "HTTP/1.0 "...)
	default:
		head = append(head, "HTTP/1.1 "...)
	}
	head = append(append(head, status...), "\r\n"...)
	head = append(head, fields...)
	closes := uint32(reqDrain | reqSayClose)
	if delimited {
		result |= resDelimited
		closes = reqDrain | reqCloses
	}
	switch {
	case ends || flags&closes != 0:
		result |= resClose
		head = append(head, "Connection: close\r\n"...)
	case flags&reqSayKeep != 0 && delimited:
		head = append(head, "Connection: keep-alive\r\n"...)
	}
	return append(head, "\r\n"...), result
}

// sendAnswer sends a small body along with the head. A goroutine sends a large one.
func (s *slot) sendAnswer(head []byte, a *static.Answer) {
	var body []byte
	if a.File >= 0 && a.Size <= sentByCore {
		body = s.readFile(a)
		_ = syscall.Close(a.File)
	}
	if s.sendPair(head, body, sendLast) != writeOK {
		s.io.result |= resBroken
	}
	if a.File < 0 || a.Size <= sentByCore {
		return
	}
	file := os.NewFile(uintptr(a.File), "static file")
	if s.io.result&resBroken != 0 {
		_ = file.Close()
		return
	}
	s.response.file = &fileRest{file: file, offset: a.Offset, size: a.Size, id: s.response.id, copies: s.w.spec.Limits.NoSendfile}
	if a.Several() {
		s.response.file.parts, s.response.file.copies = a.Body(file), true
	}
}

// openedFile reads a descriptor.
type openedFile int

// ReadAt implements io.ReaderAt.
func (f openedFile) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		if more, err = unix.Pread(int(f), p[n:], offset+int64(n)); errors.Is(err, unix.EINTR) {
			more, err = 0, nil
		} else if more == 0 && err == nil {
			err = io.EOF
		}
		n += max(more, 0)
	}
	return n, err
}

func (s *slot) readFile(a *static.Answer) []byte {
	if s.fileBuffer == nil {
		s.fileBuffer = make([]byte, sentByCore)
	}
	body := s.fileBuffer[:a.Size]
	var n int
	var err error
	if a.Several() {
		n, err = io.ReadFull(a.Body(openedFile(a.File)), body)
	} else {
		n, err = openedFile(a.File).ReadAt(body, a.Offset)
	}
	if err != nil { // the file was truncated since it was examined: only a closed connection tells the client
		s.io.result |= resBroken
	}
	return body[:n]
}
