package worker

import (
	"strconv"
	"syscall"

	"envoxyd/routing"
	"envoxyd/transports/static"
)

// routeFile answers with a file that a rule names. False: it is not there, or may not be read; nothing was done.
func (s *slot) routeFile(cn *conn, p *parsed, f *routing.File) bool {
	server := s.w.files.server
	if f.Static {
		answer, found, err := server.At(f.Path, f.Root, s.staticRequest(p))
		if err != nil {
			s.w.logf("[uwsgi-fileserve] security error: %v", err)
		}
		if !found {
			return false
		}
		s.beginAnswer(cn, p)
		s.sendFileAnswer(phrases[answer.Status], &answer)
		return true
	}
	fd, size := server.Open(f.Path, f.Root)
	if fd < 0 {
		return false
	}
	answer := static.Answer{Status: 200, File: fd, Size: size, Delimited: !f.NoLength}
	status := "200 OK"
	if f.Status != "" {
		status = f.Status
		answer.Status, _ = strconv.Atoi(status[:3])
	}
	if f.ContentType != "" {
		answer.Header = append(append(append(answer.Header, "Content-Type: "...), f.ContentType...), "\r\n"...)
	}
	if !f.NoLength {
		answer.Header = strconv.AppendInt(append(answer.Header, "Content-Length: "...), size, 10)
		answer.Header = append(answer.Header, "\r\n"...)
	}
	s.beginAnswer(cn, p)
	if s.io.flags&reqNoBody != 0 {
		_ = syscall.Close(fd)
		answer.File, answer.Size = -1, 0
	}
	if f.Bare {
		s.io.status = cUint32(answer.Status)
		s.io.sent = cUint64(answer.Size)
		s.io.result |= resClose
		s.sendAnswer(nil, &answer)
		return true
	}
	s.sendFileAnswer(status, &answer)
	return true
}

// sendFileAnswer sends an answer with a file, when the rules of the later stages have seen its head.
func (s *slot) sendFileAnswer(status string, a *static.Answer) {
	io := s.io
	io.status, io.sent = cUint32(a.Status), cUint64(a.Size)
	s.response.sendfile = a.File >= 0
	fields := append(append(append(append([]byte(nil), status...), "\r\n"...), a.Header...), s.w.extra...)
	s.routed.outside.sent = uint64(a.Size)
	edited, other := s.routed.edit(a.Status, fields, s.request.uri)
	if other != nil {
		if a.File >= 0 {
			_ = syscall.Close(a.File)
		}
		s.response.sendfile = false
		s.answer(other, false)
		return
	}
	line, fields := splitStatus(edited)
	s.sendAnswer(s.fileHeadOf(line, fields, a.Delimited), a)
}
