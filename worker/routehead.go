package worker

import (
	"bytes"
	"strconv"
	"strings"

	"envoxyd/routing"
)

// What rules do to the head of a response, whoever has made it.

func splitStatus(head []byte) (status string, fields []byte) {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	return string(line), fields
}

// edit has the rules of the error and response stages see a head, of which the first line begins with the status, and
// returns it as they have changed it; or another answer, whose head they have seen, too.
func (r *routed) edit(status int, head, uri []byte) (edited []byte, other *routing.Answer) {
	r.request.Status = status
	for _, stage := range []routing.Stage{routing.StageError, routing.StageResponse} {
		if !r.w.routes.Has(stage) {
			continue
		}
		verdict := r.run(stage)
		switch verdict.Kind {
		case routing.Break:
			other = verdict.Answer
			r.request.Status, r.request.Effects.ClearHeaders = codeOf(other.Status), ""
		case routing.Close, routing.SendFile, routing.Forward:
			r.w.logf("a rule for responses can change or replace them, but send no file, ask no other server and hang up on nobody: it had no effect on %s", uri)
		}
	}
	if other != nil {
		return nil, other
	}
	return editHead(head, &r.request.Effects), nil
}

// editHead applies what rules have asked for to a head without its last line.
func editHead(head []byte, e *routing.Effects) []byte {
	if len(e.AddHeaders) == 0 && len(e.RemoveHeaders) == 0 && e.ClearHeaders == "" {
		return head
	}
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	edited := make([]byte, 0, len(head)+256)
	if e.ClearHeaders != "" {
		version, _, _ := bytes.Cut(line, []byte(" "))
		if bytes.HasPrefix(version, []byte("HTTP/")) || string(version) == "Status:" {
			edited = append(append(edited, version...), ' ')
		}
		line, fields = []byte(e.ClearHeaders), nil
	}
	edited = append(append(edited, line...), "\r\n"...)
	edited = appendFields(edited, fields, e.RemoveHeaders)
	for _, line := range e.AddHeaders {
		edited = append(append(edited, line...), "\r\n"...)
	}
	return edited
}

// appendFields appends lines of header fields but for those of these names.
func appendFields(to, fields []byte, without [][]byte) []byte {
	for len(fields) > 0 {
		line, rest, _ := bytes.Cut(fields, []byte("\r\n"))
		if fields = rest; !removed(line, without) {
			to = append(append(to, line...), "\r\n"...)
		}
	}
	return to
}

func removed(line []byte, names [][]byte) bool {
	for _, name := range names {
		if isField(line, name) {
			return true
		}
	}
	return false
}

// isField tells whether a line is the field of a name.
func isField[T ~string | ~[]byte](line []byte, name T) bool {
	return len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(string(line[:len(name)]), string(name))
}

// hasField tells whether lines have a field of a name.
func hasField(lines []byte, name string) bool {
	for len(lines) > 0 {
		line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
		if lines = rest; isField(line, name) {
			return true
		}
	}
	return false
}

// routeHead has the rules see the head of the application's response, in the output buffer, and returns route….
func (s *slot) routeHead() int {
	r, io := s.routed, s.io
	head := append(s.fileHead[:0], s.output()...)
	r.outside.sent = uint64(io.sent)
	edited, other := r.edit(int(io.status), head, s.request.uri)
	s.fileHead = head
	effects := &r.request.Effects
	if other != nil {
		io.sent = 0
		text, body := s.answerText(other, false)
		io.sent = cUint64(len(body))
		setOut(io, append(text, body...))
		return routeAnswered
	}
	if effects.RawSent || effects.NoHeaders {
		io.headers, io.head_len = 0, 0
		io.result |= resClose
		setOut(io, effects.Raw)
		return routeBare
	}
	if effects.ClearHeaders != "" {
		if code, err := strconv.Atoi(effects.ClearHeaders[:min(3, len(effects.ClearHeaders))]); err == nil {
			io.status = cUint32(code)
		}
	}
	outcome := routeGo
	if effects.Chunked {
		outcome |= routeChunk
	}
	sized := hasField(edited, "Content-Length")
	coded := hasField(edited, "Content-Encoding") || hasField(edited, "Transfer-Encoding")
	r.gzip = effects.Gzip && !coded && io.flags&reqNoBody == 0
	if r.gzip {
		edited = append(dropField(edited, "Content-Length"), "Content-Encoding: gzip\r\n"...)
	} else if effects.ForceLength {
		edited = dropField(edited, "Content-Length")
	}
	if r.gzip || effects.ForceLength || effects.FixLength && !sized && !coded || len(effects.Store) > 0 && io.status == 200 {
		outcome |= routeGather
	}
	io.headers = cUint32(bytes.Count(edited, []byte("\r\n")) - 1)
	setOut(io, edited)
	return outcome
}

// dropField returns lines, maybe behind a status line, without the fields of a name.
func dropField(lines []byte, name string) []byte {
	return appendFields(nil, lines, [][]byte{[]byte(name)})
}
