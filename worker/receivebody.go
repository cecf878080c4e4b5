package worker

import (
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"

	"envoxyd/protocol/uwsgi"
)

// receiveBody reads a body of known length that follows its head.
func (w *Worker) receiveBody(in *input, r *request, start []byte) *request {
	length := r.parsed.Length
	r.body = w.newBody(length)
	if int64(len(start)) > length {
		start, r.rest = start[:length], start[length:]
	}
	_, err := r.body.Write(start)
	piece := make([]byte, min(max(length-int64(len(start)), 1), 256<<10))
	for err == nil && r.body.size < length {
		var n int
		n, err = in.Read(piece[:min(int64(len(piece)), length-r.body.size)])
		if _, failed := r.body.Write(piece[:n]); failed != nil {
			err = failed
		}
		if r.body.size == length {
			err = nil
		}
	}
	if err == nil {
		return r
	}
	return w.bodyFailed(in, r, err)
}

// receiveFramed reads a body whose framing says where it ends. Where its length was not announced
// it gets the CONTENT_LENGTH that applications look for.
func (w *Worker) receiveFramed(in *input, r *request, start []byte) *request {
	q := &r.parsed
	r.body = w.newBody(max(q.Length, 0))
	data := append([]byte(nil), start...)
	var decoded []byte
	for {
		out, used, err := q.Body.Decode(decoded[:0], data)
		decoded, data = out, append(data[:0], data[used:]...)
		if q.Sized { // more than was announced is not the application's
			out = out[:min(int64(len(out)), q.Length-r.body.size)]
		}
		if err == nil {
			_, err = r.body.Write(out)
		}
		if err == nil && !q.Sized {
			err = w.admit(r.conn.listener, r.body.size)
		}
		if spool := (*errSpool)(nil); errors.As(err, &spool) {
			return w.spoolFailed(in, r, spool)
		}
		if err != nil {
			r.body.free()
			return w.turnAway(r.conn, q.ID, err)
		}
		if q.Body.Done() {
			break
		}
		if data, err = in.more(data); err != nil {
			if q.Sized {
				return w.bodyFailed(in, r, err)
			}
			r.body.free()
			return nil
		}
	}
	r.rest = data
	if q.Sized && r.body.size < q.Length {
		return w.bodyFailed(in, r, io.ErrUnexpectedEOF)
	}
	if !q.Sized {
		q.Length = r.body.size
		q.Vars = uwsgi.AppendVar(q.Vars, "CONTENT_LENGTH", strconv.FormatInt(r.body.size, 10))
		q.flags |= reqTerminated
	}
	return r
}

// bodyFailed decides about a request whose body does not come as announced: the application is to
// notice, unless it asked for whole bodies only.
func (w *Worker) bodyFailed(in *input, r *request, err error) *request {
	q := &r.parsed
	if spool := (*errSpool)(nil); errors.As(err, &spool) {
		return w.spoolFailed(in, r, spool)
	}
	q.Keep = false
	if r.body.size == q.Length { // only the mark behind it is missing
		return r
	}
	if r.conn.listener.event { // the gateway gives it to another, or says that it cannot
		r.body.free()
		return nil
	}
	q.state = bodyClosed
	verb := "Error"
	if errors.Is(err, os.ErrDeadlineExceeded) {
		q.state, verb = bodyTimeout, "Timeout"
	} else if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
		w.logf("%v", err)
	}
	if w.spec.Limits.PostBuffering > 0 {
		w.logf("[uwsgi-body-read] %s reading %d bytes. Content-Length: %d consumed: %d left: %d message: the body was cut off",
			verb, q.Length-r.body.size, q.Length, r.body.size, q.Length-r.body.size)
		r.body.free()
		return nil
	}
	return r
}
