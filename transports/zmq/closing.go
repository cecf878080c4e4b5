package zmq

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Close ends the server when nothing is in hand any more, after the timeout at the latest, and returns when the
// address is free.
//
// libzmq cannot stop accepting and keep its connections, nor close one of them: a peer that has its reply would send
// its next request to a server that is about to go, and wait for ever. So replies are held until all can be sent and
// all connections closed at once; by then a REQ peer waits for its reply and sends nothing. In the second half of the
// timeout nothing is held, and nothing more is read.
func (s *Server) Close(timeout time.Duration) {
	defer s.running.Wait()
	defer s.cancel()
	err := s.loop.call(func() error {
		s.draining, s.drainedSince = true, time.Now()
		if timeout <= 0 {
			s.finish()
			return nil
		}
		s.holding = true
		s.after(timeout/2, func() {
			s.settle()
			if !s.finishing {
				s.deaf = true
				s.release()
			}
		})
		s.after(timeout, s.finish)
		s.loop.look(s.router) // what has arrived first
		return nil
	})
	if err != nil {
		return
	}
	select {
	case <-s.closed:
	case <-s.loop.done:
	}
}

// settle closes the socket when nothing is in hand, and nothing has come for a moment: a peer that
// got its reply just now may be about to send. One that went on asking until then is given more time, for on
// a crowded machine its thread may not have run.
func (s *Server) settle() {
	if !s.draining || s.finishing || s.pending > 0 || s.settling {
		return
	}
	s.settling = true
	taken := s.taken
	s.after(settleTime, func() {
		s.settling = false
		if s.taken == taken && s.pending == 0 && (!s.expects() || time.Since(s.drainedSince) > patience) {
			s.finish()
			return
		}
		s.settle()
	})
}

// noteAsked remembers when a peer asked last.
func (s *Server) noteAsked(peer string) {
	now := time.Now()
	if len(s.asked) >= s.askedLimit {
		maps.DeleteFunc(s.asked, func(_ string, last time.Time) bool { return now.Sub(last) > activeTime })
		s.askedLimit = 64 + 2*len(s.asked) // so that looking through them stays cheap
	}
	s.asked[peer] = now
}

// expects tells whether a peer that went on asking until the server was to close has nothing in hand here: its next
// request would be lost with its connection.
func (s *Server) expects() bool {
	holds := make(map[string]bool, len(s.held))
	for _, one := range s.held {
		holds[one.peer] = true
	}
	for peer, last := range s.asked {
		if !holds[peer] && s.drainedSince.Sub(last) < activeTime {
			return true
		}
	}
	return false
}

// heldReply is sent when all can be.
type heldReply struct {
	peer string
	text []byte
}

// release sends what was held.
func (s *Server) release() {
	for _, one := range s.held {
		s.send(one.peer, one.text)
	}
	s.held, s.holding = nil, false
}

const (
	partTime = 50                   // looks, at most, whether libzmq has written the replies
	ipcTime  = 5                    // looks, if it cannot be told
	partLook = 1 * time.Millisecond // between two of them
)

// partWith sends what was held so that a peer gets the end of its connection together with its reply: libzmq
// would close it some 100 us later, when the peer may have sent its next request already. It then connects
// again before it sends. Replies over TCP are corked until libzmq has written all of them; those over ipc
// cannot be, so there one more request may be lost.
func (s *Server) partWith(then func()) {
	replies := len(s.held)
	if replies == 0 {
		then()
		return
	}
	tcp := s.config.Endpoint.Path == ""
	var ours []int
	for fd := range s.connections {
		if s.isOurs(fd) {
			ours = append(ours, fd)
			if tcp {
				_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_CORK, 1) // as over ipc, without
			}
		}
	}
	s.release()
	var look func()
	looks := 0
	if !tcp {
		looks = partTime - ipcTime
	}
	look = func() {
		written := 0
		for _, fd := range ours {
			if n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ); tcp && err == nil && n > 0 {
				written++
			}
		}
		if looks++; written < replies && looks < partTime {
			s.after(partLook, look)
			return
		}
		for _, fd := range ours {
			_ = unix.Shutdown(fd, unix.SHUT_WR) // it has gone already
		}
		then()
	}
	look()
}

// isOurs tells whether the descriptor is still a connection to this server: it may have been closed since
// libzmq told of it.
func (s *Server) isOurs(fd int) bool {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	if _, err := unix.Getpeername(fd); err != nil { // a listening one has none
		return false
	}
	port := 0
	switch name := name.(type) {
	case *unix.SockaddrUnix:
		return name.Name == s.config.Endpoint.Path
	case *unix.SockaddrInet4:
		port = name.Port
	case *unix.SockaddrInet6:
		port = name.Port
	}
	return port > 0 && strings.HasSuffix(s.address, ":"+strconv.Itoa(port))
}
