package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/gateway/sidecar"
	"envoxyd/transports/zmq"
)

// call is what a worker asks for: gatewayspec.FrameHead, this as JSON, the payload as it is.
type call struct {
	Op      string          `json:"op"`      // register, zmq
	Server  json.RawMessage `json:"server"`  // of zmq: its settings, as zmq_servers has them
	Most    int             `json:"most"`    // how many connections to it there may be
	Seconds float64         `json:"seconds"` // how long a reply is waited for
	Again   bool            `json:"again"`   // the request may be sent twice
}

var errInvalid = errors.New("zmq")

// stream carries a worker's calls, one after the other. It is read and written on the loop, without waiting:
// a request costs no switch to another goroutine.
type stream struct {
	p   *peers
	fd  int
	in  []byte // of a call that has not come whole
	out []byte // of an answer that the worker has not taken
}

// readSize is how much is read at a time.
const readSize = 64 << 10

// serveCalls serves a worker's stream until it closes it.
func (p *peers) serveCalls(fd int) {
	s := &stream{p: p, fd: fd}
	if unix.SetNonblock(fd, true) != nil || !p.loop.Post(s.await) {
		_ = unix.Close(fd)
	}
}

// await has the next part read when it comes.
func (s *stream) await() {
	if s.p.loop.Watch(s.fd, s.read) != nil {
		s.close()
	}
}

func (s *stream) close() { _ = unix.Close(s.fd) }

func (s *stream) read() {
	size := len(s.in)
	if cap(s.in)-size < readSize {
		s.in = append(make([]byte, 0, 2*size+readSize), s.in...)
	}
	n, err := unix.Read(s.fd, s.in[size:size+readSize])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		s.await()
		return
	case err != nil || n == 0:
		s.close()
		return
	}
	s.in = s.in[:size+n]
	head, payload, whole, err := sidecar.SplitFrame(s.in)
	switch {
	case err != nil:
		s.close()
		return
	case !whole:
		s.await()
		return
	}
	s.in = nil // what was read is the call's now; the next comes after its answer
	var c call
	if err := json.Unmarshal(head, &c); err != nil {
		s.answer(nil, fmt.Errorf("%w: %w", errInvalid, err))
		return
	}
	switch c.Op {
	case "register":
		s.p.Running.Go(func() { // the state may be in use
			err := s.p.register(payload)
			s.p.loop.Post(func() { s.answer(nil, err) })
		})
	case "zmq":
		s.p.ask(&c, payload, s.answer)
	default:
		s.answer(nil, fmt.Errorf("%w: no such call: %q", errInvalid, c.Op))
	}
}

// answer writes the answer to a call.
func (s *stream) answer(result []byte, err error) {
	answer := sidecar.Answer{OK: true}
	if err != nil {
		answer, result = sidecar.Refuse(kindOf(err), err), nil
	}
	if s.out, err = sidecar.AppendFrame(nil, &answer, result); err != nil {
		s.close()
		return
	}
	s.write()
}

func (s *stream) write() {
	n, err := unix.SendmsgN(s.fd, s.out, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		n = 0
	case err != nil:
		s.close()
		return
	}
	if s.out = s.out[n:]; len(s.out) == 0 {
		s.out = nil
		s.await()
		return
	}
	if s.p.loop.WatchWrite(s.fd, s.write) != nil {
		s.close()
	}
}

// ask sends a request to another service; done gets its reply, both JSON. It is called on the loop.
func (p *peers) ask(c *call, request []byte, done func([]byte, error)) {
	key := fmt.Sprintf("%d %s", c.Most, c.Server)
	client := p.clients[key]
	if client == nil {
		config, err := readPeer(c.Server)
		if err != nil {
			done(nil, fmt.Errorf("%w: %w", errInvalid, err))
			return
		}
		config.MaxConnections = c.Most
		client = p.loop.Client(config)
		p.clients[key] = client
	}
	client.Start(request, c.Again, max(time.Duration(c.Seconds*float64(time.Second)), time.Millisecond), done)
}

func kindOf(err error) string {
	switch {
	case errors.Is(err, errInvalid):
		return "invalid"
	case errors.Is(err, zmq.ErrTimeout):
		return "timeout"
	}
	return "lost"
}
