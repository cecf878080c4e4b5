package worker

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// sender sends what the client does not take at once, while the application goes on. Its goroutine
// ends when the response has left, or cannot; drained waits for it.
type sender struct {
	w       *Worker
	conn    *conn
	mu      sync.Mutex
	changed sync.Cond
	rest    []unread // what the goroutine has not taken yet
	busy    bool     // it is sending
	err     error
	told    bool // the application, or the log, knows of err
	ended   bool // the response is complete; keep and file are set
	keep    bool
	file    *fileRest
}

// sendLater gives bytes of the response to a goroutine. False: there is no memory for them.
func (s *slot) sendLater(cn *conn, pieces ...[]byte) bool {
	copied, ok := s.w.keepUnread(pieces)
	if !ok {
		return false
	}
	if later := s.response.sender; later != nil {
		later.add(copied)
		return true
	}
	if s.w.open(cn); s.current == cn {
		s.io.client_fd = cInt32(cn.fd)
	}
	later := &sender{w: s.w, conn: cn}
	later.changed.L = &later.mu
	later.add(copied)
	s.response.sender = later
	s.w.sending.Add(1)
	go later.run()
	return true
}

// add appends to what is to be sent.
func (s *sender) add(more unread) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if more.size > 0 {
		s.rest = append(s.rest, more)
	}
	s.changed.Broadcast()
}

// wait returns when all is sent, or cannot be.
func (s *sender) wait() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && (s.busy || len(s.rest) > 0) {
		s.changed.Wait()
	}
	s.told = s.err != nil
	return s.err
}

// end says that the response is complete but for a part of a file, and what becomes of the connection then.
func (s *sender) end(keep bool, file *fileRest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.keep, s.file = true, keep, file
	s.changed.Broadcast()
}

func (s *sender) run() {
	defer s.w.sending.Add(-1)
	err := s.send()
	if err == nil && s.keep && s.w.phase.Load() == serving {
		s.w.ready.put(&request{conn: s.conn, idle: true})
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && !s.told {
		s.w.logf("uwsgi_response_write_body_do() TIMEOUT !!!")
	}
	s.conn.close()
}

// release gives back the memory of what will not be sent. The lock is held.
func (s *sender) release() {
	for _, piece := range s.rest {
		s.w.releaseUnread(piece)
	}
	s.rest = nil
}

// send sends piece after piece until the response has ended; after an error it only waits for that.
func (s *sender) send() error {
	stream, err := duplicate(s.conn.fd)
	if err != nil {
		s.w.logLimited(&s.w.limits.receive, "unable to send a response: %v", err)
	} else {
		defer stream.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		s.err, s.busy = err, false
		s.changed.Broadcast()
		for !s.ended && (err != nil || len(s.rest) == 0) {
			s.changed.Wait()
		}
		if err != nil || len(s.rest) == 0 {
			break
		}
		piece := s.rest[0]
		s.rest, s.busy = s.rest[1:], true
		s.mu.Unlock()
		err = piece.send(stream, s.conn.listener.send)
		s.w.releaseUnread(piece)
		s.mu.Lock()
		if err != nil { // its memory does not wait for the application
			s.release()
		}
	}
	s.release()
	if s.file == nil {
		return err
	}
	defer s.file.file.Close()
	switch {
	case err != nil:
		return err
	case s.conn.listener.transport.Frame != nil:
		return sendFramedRest(stream, s.conn.listener.transport, s.file, s.conn.listener.send)
	}
	return sendFileRest(stream, s.file, s.conn.listener.send)
}

func sendPiece(stream *os.File, piece []byte, timeout time.Duration) error {
	for len(piece) > 0 {
		if err := stream.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		n, err := stream.Write(piece[:min(len(piece), 256<<10)])
		if err != nil {
			return err
		}
		piece = piece[n:]
	}
	return nil
}

// errnoOf is what the log and the application are told of an error of the sender's.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return syscall.ETIMEDOUT
	case errors.As(err, &errno):
		return errno
	}
	return syscall.EIO
}
