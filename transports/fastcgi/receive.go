package fastcgi

import (
	"envoxyd/transports"
)

// Transport is the protocol with one request at a time, and one a connection.
var Transport = transports.Transport{
	New:   func() transports.Receiver { return new(receiver) },
	Frame: AppendStdout,
	End:   func(dst []byte, id uint16) []byte { return AppendEnd(dst, id, StatusComplete) },
}

// maxForeign is how much the records before a request's body may take in addition to its
// parameters, in bytes: their heads and padding, and records of requests that are not served.
const maxForeign = 64 << 10

// receiver collects the parameters of a request from its records.
type receiver struct{ params []byte }

// Receive implements transports.Receiver.
func (r *receiver) Receive(c *transports.Conn, data, room []byte) (q transports.Request) {
	r.params = r.params[:0]
	at := 0
	for {
		record, size, err := Next(data[at:])
		switch {
		case err != nil:
			q.Err = err
			return q
		case size == 0 && len(data) > c.Limit+maxForeign:
			q.Err = &transports.TooLongError{Size: len(data), Limit: c.Limit}
			return q
		case size == 0:
			return q
		}
		at += size
		switch {
		case record.Type == TypeBegin && q.ID == 0:
			if Role(record.Content) != RoleResponder {
				q.Answer = AppendEnd(nil, record.ID, StatusUnknownRole)
				return q
			}
			q.ID = record.ID
		case record.ID != q.ID || q.ID == 0: // another request at the same time: not offered
		case record.Type == TypeAbort:
			q.Err = ErrAborted
			return q
		case record.Type == TypeParams && len(record.Content) > 0:
			r.params = append(r.params, record.Content...)
			if len(r.params) > c.Limit {
				q.Err = &transports.TooLongError{Size: len(r.params), Limit: c.Limit}
				return q
			}
		case record.Type == TypeParams:
			r.finish(&q, at, room)
			return q
		}
	}
}

// finish makes the request of all its parameters.
func (r *receiver) finish(q *transports.Request, at int, room []byte) {
	vars, err := AppendVars(room[:0], r.params)
	if q.Take(vars, room, err) {
		q.HeadSize, q.Length = at, transports.FromVars
		q.Body, q.Sized = &stdin{id: q.ID}, true
	}
}

// stdin takes the records off a body.
type stdin struct {
	id   uint16
	done bool
}

func (s *stdin) Done() bool { return s.done }

func (s *stdin) Decode(dst, src []byte) (out []byte, used int, err error) {
	for !s.done {
		record, size, err := Next(src[used:])
		if err != nil || size == 0 {
			return dst, used, err
		}
		used += size
		switch {
		case record.ID != s.id:
		case record.Type == TypeAbort:
			return dst, used, ErrAborted
		case record.Type == TypeStdin:
			dst = append(dst, record.Content...)
			s.done = len(record.Content) == 0
		}
	}
	return dst, used, nil
}
