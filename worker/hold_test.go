package worker

import (
	"fmt"
	"strings"
	"testing"
)

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	const requests = 3*mostInRow + 7
	var all strings.Builder
	for n := range requests {
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na%02d", n, n%100)
	}
	s.send(c, all.String())
	for n := range requests {
		vars, body := s.request()
		if vars["PATH_INFO"] != fmt.Sprintf("/%d", n) || body != fmt.Sprintf("a%02d", n%100) {
			t.Fatalf("request %d is %s with %q", n, vars["PATH_INFO"], body)
		}
		s.answer(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%03d", n))
	}
	s.quick()
	for n := range requests {
		s.expect(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%03d", n))
	}
}

// Whatever pieces two requests come in, both are answered, whole and in order.
func TestPipelinedRequestsInEverySplitPosition(t *testing.T) {
	const (
		first  = "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
		second = "POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
		third  = "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"
	)
	all := first + second + third
	s := newStage(t, "http", nil)
	for split := 1; split < len(all); split++ {
		c := s.connect()
		s.send(c, all[:split])
		rest := make(chan struct{})
		go func() { // once the first part was looked at, as far as it goes
			defer close(rest)
			_, _ = c.Write([]byte(all[split:]))
		}()
		for n, want := range []string{"one", "two", ""} {
			vars, body := s.request()
			if vars["PATH_INFO"] != fmt.Sprintf("/%d", n+1) || body != want {
				t.Fatalf("split at %d: request %d is %s with %q", split, n, vars["PATH_INFO"], body)
			}
			s.answer(okReply)
		}
		<-rest
		s.quick()
		s.expect(c, okReply+okReply+okReply)
		s.answer(okReply)
	}
}

func TestPipelinedRequestsAreAnsweredBeforeOneThatIsRefused(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	s.send(c, get+get+"GET / HTTP/9\r\n\r\n")
	s.request()
	s.answer(okReply)
	s.request()
	s.answer(okReply)
	s.quick()
	s.expect(c, okReply+okReply+"HTTP/1.1 505 ")
}

func TestTheLastOfPipelinedRequestsMayEndTheConnection(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	s.send(c, get+"GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"+get)
	for range 2 {
		s.request()
		s.answer(okReply)
	}
	s.quick()
	s.expect(c, okReply+okReply)
	s.expectEnd(c)
}
