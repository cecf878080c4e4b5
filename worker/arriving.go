package worker

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"envoxyd/internal/eventfd"
	"envoxyd/transports/http"
)

// arrivingMost is how much of a body waits for an application that does not read it; then the client waits.
const arrivingMost = 256 << 10

// arrivingPiece is what the application is given at once, in bytes.
const arrivingPiece = 64 << 10

// errLeft ends the receiving of a body that nobody will read.
var errLeft = errors.New("the request has ended before its body")

// arriving is a body that the application reads while it comes, as ASGI has it. A goroutine writes it; the thread of the
// request reads, and never waits: fd is readable when there is something to read, or when nothing more will come.
type arriving struct {
	fd int

	mu     sync.Mutex
	room   sync.Cond // for the writer: data has become less, or nobody reads any more
	come   sync.Cond // for Read: data has become more, or will not
	data   []byte
	signal bool // fd is readable
	ended  bool // by the writer; err says how
	err    error
	rest   []byte // what came behind the body
	left   bool   // nobody reads any more
	told   bool   // the application knows that the body is not whole
}

func newArriving() (*arriving, error) {
	fd, err := eventfd.New()
	if err != nil {
		return nil, err
	}
	a := &arriving{fd: fd}
	a.room.L, a.come.L = &a.mu, &a.mu
	return a, nil
}

// Write adds to what can be read. It waits while that is much, and returns errLeft when nobody will read it.
func (a *arriving) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.data) >= arrivingMost && !a.left {
		a.room.Wait()
	}
	if a.left {
		return 0, errLeft
	}
	a.data = append(a.data, p...)
	a.tell()
	return len(p), nil
}

// finish is the writer's last call: the body is whole, and rest came behind it, or err says why it is not.
func (a *arriving) finish(rest []byte, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended, a.rest, a.err = true, rest, err
	a.tell()
}

func (a *arriving) tell() {
	a.come.Signal()
	if !a.signal && !a.left {
		a.signal = true
		eventfd.Add(a.fd)
	}
}

// read returns a piece and one of arrived…; the piece is the caller's.
func (a *arriving) read() ([]byte, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	piece := a.data[:min(len(a.data), arrivingPiece)]
	a.data = a.data[len(piece):]
	a.room.Signal()
	switch {
	case len(a.data) > 0:
		return piece, arrivedSome
	case a.ended && a.err == nil:
		return piece, arrivedLast
	case len(piece) > 0:
		return piece, arrivedSome
	case a.ended:
		a.told = true
		return nil, arrivedGone
	}
	if a.signal {
		a.signal = false
		eventfd.Clear(a.fd)
	}
	return nil, arrivedWait
}

// Read waits for a piece of the body: it is for a goroutine, in place of read. The error is the writer's, or io.EOF.
func (a *arriving) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.data) == 0 && !a.ended {
		a.come.Wait()
	}
	n := copy(p, a.data)
	a.data = a.data[n:]
	a.room.Signal()
	switch {
	case n > 0:
		return n, nil
	case a.err != nil:
		return 0, a.err
	}
	return 0, io.EOF
}

// whole tells whether the body has come as a whole, read or not.
func (a *arriving) whole() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended && a.err == nil
}

// refusal is the status that the client is to get if the application, having been told of a body that is not whole, has
// not answered; 0: there was no such body.
func (a *arriving) refusal() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	var refused *http.Error
	switch {
	case !a.told:
		return 0
	case errors.Is(a.err, errPost):
		return 413
	case errors.Is(a.err, os.ErrDeadlineExceeded):
		return 408
	case errors.As(a.err, &refused):
		return refused.Status
	}
	return 400
}

// leave ends the reading. whole: the body has come as a whole, read or not, and rest behind it.
func (a *arriving) leave() (rest []byte, whole bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left, a.data = true, nil
	a.room.Signal()
	_ = syscall.Close(a.fd)
	return a.rest, a.ended && a.err == nil
}

// arrives tells whether the application is to start before the body is there.
func (w *Worker) arrives(l *listener, head *parsed) bool {
	return w.streams && !l.event && !w.scripts.wants(head) && !head.Service && !head.NoBody && (head.Body != nil || head.Length > 0)
}

// receiveArriving puts the request on the queue and reads its body, of which start is there. On an error of ours the client
// is turned away.
func (w *Worker) receiveArriving(in *input, r *request, start []byte) *request {
	a, err := newArriving()
	if err != nil {
		w.logLimited(&w.limits.receive, "unable to receive a request: %v", err)
		return w.turnAway(r.conn, r.parsed.ID, err)
	}
	l, framed := r.conn.listener, r.parsed.Request
	r.parsed.Body, r.parsed.state, r.arriving = nil, bodyArriving, a
	if framed.Body != nil && !framed.Sized {
		r.parsed.Length = 0 // nobody knows it
	}
	data := append([]byte(nil), start...)
	client := r.conn.RemoteAddr
	w.ready.put(r) // the connection and r are a slot's from now on
	if framed.Body == nil {
		data, err = copyBody(in, a, data, framed.Length, arrivingPiece)
	} else {
		data, err = w.copyFramed(in, l, &framed, a, data)
	}
	var refused *http.Error
	switch {
	case errors.As(err, &refused):
		w.logf("invalid HTTP request from %s: %s", client, refused.Reason)
	case errors.Is(err, errPost):
		w.logf("Invalid (too big) CONTENT_LENGTH. skip.")
	}
	a.finish(data, err)
	if err != nil { // the response has left, or will: what the client still sends must not destroy it
		w.discard(in)
	}
	return &request{}
}

// leaveArriving ends the reading of a body that arrives; a connection on which some of it is still to come is not kept.
func (s *slot) leaveArriving(cn *conn) {
	if s.arriving == nil {
		return
	}
	rest, whole := s.arriving.leave()
	s.arriving = nil
	if whole {
		cn.rest, s.io.body_state = rest, bodyWhole
		return
	}
	s.response.keep, cn.receiving = false, true
	s.io.body_state = bodyClosed
}
