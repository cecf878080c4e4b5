package worker

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"envoxyd/transports/fastcgi"
)

// receiveFastCGI reads the records of one request. As in receiveRest, nil: the
// connection is to be closed.
func (w *Worker) receiveFastCGI(in *input, p *parser, cn *conn, data []byte) *request {
	r := &request{conn: cn}
	var params []byte
	for {
		record, used, err := fastcgi.Next(data)
		if err != nil {
			_, _ = syscall.Write(cn.fd, fastcgi.AppendEnd(nil, r.parsed.fastcgi, fastcgi.StatusComplete))
			return w.turnAway(cn, err)
		}
		if used == 0 {
			if data, err = in.more(data); err != nil {
				return w.cutOff(r, err)
			}
			continue
		}
		data = data[used:]
		switch {
		case record.Type == fastcgi.TypeBegin && r.parsed.fastcgi == 0:
			if fastcgi.Role(record.Content) != fastcgi.RoleResponder {
				_, _ = syscall.Write(cn.fd, fastcgi.AppendEnd(nil, record.ID, fastcgi.StatusUnknownRole))
				return nil
			}
			r.parsed.fastcgi = record.ID
		case record.ID != r.parsed.fastcgi || record.ID == 0: // another request at the same time: not offered
		case record.Type == fastcgi.TypeAbort:
			if r.body != nil {
				r.body.free()
			}
			return nil
		case record.Type == fastcgi.TypeParams && r.body == nil && len(record.Content) > 0:
			params = append(params, record.Content...)
			if limit := w.spec.Limits.BufferSize; len(params) > limit {
				return w.turnAway(cn, &errTooLong{len(params), limit})
			}
		case record.Type == fastcgi.TypeParams && r.body == nil:
			if err := w.paramsDone(p, params, r); err != nil {
				return w.turnAway(cn, err)
			}
			in.until = time.Time{}
		case record.Type == fastcgi.TypeStdin && r.body != nil && len(record.Content) > 0:
			room := r.parsed.length - r.body.size // more than was announced is not the application's
			if _, err := r.body.Write(record.Content[:min(int64(len(record.Content)), room)]); err != nil {
				spool := (*errSpool)(nil)
				if errors.As(err, &spool) {
					return w.spoolFailed(in, r, spool)
				}
				return w.cutOff(r, err)
			}
		case record.Type == fastcgi.TypeStdin && r.body != nil:
			if r.body.size < r.parsed.length {
				return w.cutOff(r, io.ErrUnexpectedEOF)
			}
			return r
		}
	}
}

// paramsDone makes the request's variables of its parameters.
func (w *Worker) paramsDone(p *parser, params []byte, r *request) error {
	vars, err := fastcgi.AppendVars(p.vars[:0], params)
	if err := p.take(vars, err, &r.parsed); err != nil {
		return err
	}
	r.parsed.vars = append([]byte(nil), r.parsed.vars...) // p goes back to its pool
	if err := w.admit(r.conn.listener, r.parsed.length); err != nil {
		return err
	}
	r.body = w.newBody(r.parsed.length)
	return nil
}

// cutOff decides about a request whose body does not come: the application is
// to notice, unless it asked for whole bodies only.
func (w *Worker) cutOff(r *request, err error) *request {
	if r.body == nil {
		return nil
	}
	if r.body.size == r.parsed.length { // only the mark at its end is missing
		return r
	}
	if w.spec.Limits.PostBuffering > 0 {
		w.logf("[uwsgi-body-read] the body was cut off: %d of %d bytes", r.body.size, r.parsed.length)
		r.body.free()
		return nil
	}
	r.parsed.state = bodyClosed
	if errors.Is(err, os.ErrDeadlineExceeded) {
		r.parsed.state = bodyTimeout
	}
	return r
}

// endFastCGI tells the client that the response is complete.
func (c *core) endFastCGI() {
	r := &c.response
	end := fastcgi.AppendEnd(nil, r.fastcgi, fastcgi.StatusComplete)
	switch {
	case r.file != nil: // sendFileRecords does it
	case c.sendRaw(end, nil, sendLast) != writeOK:
		c.io.result |= resBroken
	}
}

// sendFileRecords sends the part of a file and the end of the response.
func sendFileRecords(stream *os.File, file *fileRest, timeout time.Duration) error {
	piece := make([]byte, 64<<10)
	var records []byte
	for {
		n := 0
		if file.size > 0 {
			var err error
			if n, err = file.file.ReadAt(piece[:min(int64(len(piece)), file.size)], file.offset); n == 0 {
				return err // shorter than it was: without its end, the client knows
			}
		}
		records = fastcgi.AppendStdout(records[:0], file.fastcgi, piece[:n])
		file.offset, file.size = file.offset+int64(n), file.size-int64(n)
		if file.size == 0 {
			records = fastcgi.AppendEnd(records, file.fastcgi, fastcgi.StatusComplete)
		}
		if err := stream.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if _, err := stream.Write(records); err != nil || file.size == 0 {
			return err
		}
	}
}
