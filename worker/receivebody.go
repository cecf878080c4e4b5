package worker

import (
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"

	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
)

// bodyPiece is how much of a body that is kept is read at once, in bytes.
const bodyPiece = 256 << 10

// receiveBody reads a body of known length that follows its head.
func (w *Worker) receiveBody(in *input, r *request, start []byte) *request {
	r.body = w.newBody(r.parsed.Length)
	rest, err := copyBody(in, r.body, start, r.parsed.Length, bodyPiece)
	if err != nil {
		return w.bodyFailed(in, r, err)
	}
	r.rest = rest
	return r
}

// receiveFramed reads a body whose framing says where it ends. Where its length was not announced
// it gets the CONTENT_LENGTH that applications look for.
func (w *Worker) receiveFramed(in *input, r *request, start []byte) *request {
	q := &r.parsed
	r.body = w.newBody(max(q.Length, 0))
	rest, err := w.copyFramed(in, r.conn.listener, &q.Request, r.body, append([]byte(nil), start...))
	var spool *errSpool
	var cut *errCut
	switch {
	case errors.As(err, &spool):
		return w.spoolFailed(in, r, spool)
	case errors.As(err, &cut) && q.Sized:
		return w.bodyFailed(in, r, cut.err)
	case cut != nil:
		r.body.free()
		return nil
	case err != nil:
		r.body.free()
		return w.turnAway(r.conn, q.ID, err)
	}
	r.rest = rest
	if !q.Sized {
		q.Length = r.body.size
		q.Vars = uwsgi.AppendVar(q.Vars, "CONTENT_LENGTH", strconv.FormatInt(r.body.size, 10))
		q.flags |= reqTerminated
	}
	return r
}

// copyBody copies a body of known length, of which start is there, in pieces of at most so many bytes. rest: what came behind it.
func copyBody(in *input, to io.Writer, start []byte, length int64, most int) (rest []byte, err error) {
	if int64(len(start)) > length {
		start, rest = start[:length], start[length:]
	}
	if _, err := to.Write(start); err != nil {
		return nil, err
	}
	length -= int64(len(start))
	piece := make([]byte, min(length, int64(most)))
	for length > 0 {
		n, err := in.Read(piece[:min(int64(len(piece)), length)])
		length -= int64(n)
		if _, err := to.Write(piece[:n]); err != nil {
			return nil, err
		}
		if err != nil && length > 0 {
			return nil, err
		}
	}
	return rest, nil
}

// errCut is a body that ends before its framing does.
type errCut struct{ err error }

func (e *errCut) Error() string { return "request body: " + e.err.Error() }

func (e *errCut) Unwrap() error { return e.err }

// copyFramed copies a body whose framing says where it ends, of which data, the caller's no more, is there. rest: what came behind it.
func (w *Worker) copyFramed(in *input, l *listener, q *transports.Request, to io.Writer, data []byte) (rest []byte, err error) {
	var decoded []byte
	size := int64(0)
	for {
		out, used, err := q.Body.Decode(decoded[:0], data)
		decoded, data = out, append(data[:0], data[used:]...)
		if q.Sized { // more than was announced is not the application's
			out = out[:min(int64(len(out)), q.Length-size)]
		}
		size += int64(len(out))
		if err == nil && !q.Sized {
			err = w.admit(l, size)
		}
		if err == nil && len(out) > 0 {
			_, err = to.Write(out)
		}
		if err != nil {
			return nil, err
		}
		if q.Body.Done() {
			break
		}
		if data, err = in.more(data); err != nil {
			return nil, &errCut{err}
		}
	}
	if q.Sized && size < q.Length {
		return nil, &errCut{io.ErrUnexpectedEOF}
	}
	return data, nil
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
