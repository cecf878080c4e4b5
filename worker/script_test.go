package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/internal/workerspec"
)

// withPrograms has the stage run the programs in a directory of the test's.
func withPrograms(t *testing.T, programs map[string]string) func(*workerspec.Spec) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return func(spec *workerspec.Spec) {
		spec.CGI = &workerspec.CGI{Maps: []workerspec.CGIMap{{Prefix: "/cgi", Path: dir}}, Most: 1, Waiting: 4, TimeoutSeconds: 20}
		for i := range spec.Sockets {
			spec.Sockets[i].Modifier1 = 9
		}
	}
}

// run has the core work until the worker is stopped.
func (s *stage) run() {
	s.Helper()
	ended := make(chan int, 1)
	go func() { ended <- s.slot.next() }()
	s.Cleanup(func() {
		s.w.Stop(stopping, 0)
		if got := <-ended; got != nextStop {
			s.Errorf("the core ended with %d", got)
		}
	})
}

func TestAProgramAnswersInsteadOfTheApplication(t *testing.T) {
	s := newStage(t, "http", withPrograms(t, map[string]string{"a": `printf 'X: y\nContent-Length: 2\n\n'; printf "$PATH_INFO"`}))
	s.run()
	c := s.connect()
	for range 2 { // the connection is kept
		s.send(c, "GET /cgi/a/z HTTP/1.1\r\nHost: h\r\n\r\n")
		s.expect(c, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\n/z")
	}
	s.send(c, strings.Repeat("GET /cgi/a/q HTTP/1.1\r\nHost: h\r\n\r\n", 3)) // what comes meanwhile is not lost
	for range 3 {
		s.expect(c, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\n/q")
	}
	s.becomes(5, "requests that are accounted for", func() int64 { return int64(s.slot.line.Requests.Load()) })
}

// becomes waits until a number is what it has to be in the end.
func (s *stage) becomes(want int64, what string, number func() int64) {
	s.Helper()
	for deadline := time.Now().Add(10 * time.Second); number() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("%s: %d, want %d", what, number(), want)
		}
	}
}

func TestWhatCannotBeRunIsRefused(t *testing.T) {
	s := newStage(t, "http", withPrograms(t, map[string]string{"a": "exit 1"}))
	s.run()
	for path, want := range map[string]string{"/cgi/none": "404 Not Found", "/other": "404 Not Found", "/cgi/a": "500 Internal Server Error"} {
		c := s.connect()
		s.send(c, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
		s.expect(c, "HTTP/1.1 "+want+"\r\nContent-Type: text/plain\r\n")
	}
}

// A body that is in a file is the program's input as it is; one in memory goes into a file without a name.
func TestBodiesOfPrograms(t *testing.T) {
	s := newStage(t, "http", withPrograms(t, map[string]string{"a": `printf "Content-Length: $(( $(wc -c) ))\n\n"; exit 0`}))
	s.run()
	for _, size := range []int{0, 10, bodyInMemory, bodyInMemory + 1} {
		c := s.connect()
		s.send(c, fmt.Sprintf("POST /cgi/a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size)))
		s.expect(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n", size))
	}
	s.becomes(0, "bytes of bodies that are kept", func() int64 { return s.w.budgets.bodies.used.Load() + s.w.budgets.spooled.used.Load() })
}
