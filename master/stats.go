package master

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/master/sockets"
)

// statsPatience bounds what one client of the statistics may take.
const statsPatience = 4 * time.Second

// statsServer answers each connection to one address with the statistics. Its
// goroutines are waited for by close.
type statsServer struct {
	fd       int // of the socket that it serves
	form     statsForm
	listener net.Listener
	events   chan<- event
	done     chan struct{}
	running  sync.WaitGroup
}

// statsForm is how the document is written.
type statsForm struct{ http, minified bool }

// serveStats serves the sockets of --stats that the configuration names now.
func (m *master) serveStats() {
	form := statsForm{http: m.cfg.StatsHTTP, minified: m.cfg.StatsMinified}
	var kept []*statsServer
	for _, server := range m.stats {
		wanted := slices.ContainsFunc(m.sockets, func(s *sockets.Socket) bool { return s.Protocol == sockets.Stats && s.FD == server.fd })
		if wanted && server.form == form {
			kept = append(kept, server)
		} else {
			server.close()
		}
	}
	m.stats = kept
	for _, s := range m.sockets {
		served := slices.ContainsFunc(m.stats, func(server *statsServer) bool { return server.fd == s.FD })
		if s.Protocol != sockets.Stats || served {
			continue
		}
		server, err := newStatsServer(s, form, m.events)
		if err != nil {
			logf("%v", err)
			continue
		}
		logf("*** Stats server enabled on %s fd: %d ***", s.Name, s.FD)
		m.stats = append(m.stats, server)
	}
}

func (m *master) stopStats() {
	for _, server := range m.stats {
		server.close()
	}
	m.stats = nil
}

func newStatsServer(s *sockets.Socket, form statsForm, events chan<- event) (*statsServer, error) {
	fd, err := unix.FcntlInt(uintptr(s.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("stats server on %s: %w", s.Name, err)
	}
	file := os.NewFile(uintptr(fd), s.Name)
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return nil, fmt.Errorf("stats server on %s: %w", s.Name, err)
	}
	if local, is := listener.(*net.UnixListener); is {
		local.SetUnlinkOnClose(false) // vacuum decides about the file
	}
	server := &statsServer{fd: s.FD, form: form, listener: listener, events: events, done: make(chan struct{})}
	server.running.Go(server.accept)
	return server, nil
}

// close ends the server and waits for its goroutines; the listening socket stays open.
func (s *statsServer) close() {
	close(s.done)
	_ = s.listener.Close()
	s.running.Wait()
}

func (s *statsServer) accept() {
	for {
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no descriptors are left, perhaps
			select {
			case <-s.done:
				return
			case <-time.After(time.Second):
			}
		default:
			s.running.Go(func() { s.answer(conn) })
		}
	}
}

// answer writes the statistics and closes the connection.
func (s *statsServer) answer(conn net.Conn) {
	defer conn.Close()
	finished := make(chan struct{})
	defer close(finished)
	s.running.Go(func() { // a slow client does not hold close up
		select {
		case <-s.done:
			_ = conn.SetDeadline(time.Now())
		case <-finished:
		}
	})
	_ = conn.SetDeadline(time.Now().Add(statsPatience)) // a connection that is gone fails at its first use
	if s.form.http && !skipRequest(conn) {
		return
	}
	document := s.ask()
	if document == nil {
		return
	}
	document.measure()
	text, err := document.text(s.form)
	if err != nil {
		logf("stats server: %v", err)
		return
	}
	_, _ = conn.Write(text) // the client's loss
}

// ask has the owner of the state fill a document; nil: the server ends.
func (s *statsServer) ask() *statsDocument {
	answer := make(chan *statsDocument, 1)
	select {
	case s.events <- func(m *master) { answer <- m.statistics() }:
	case <-s.done:
		return nil
	}
	select {
	case document := <-answer:
		return document
	case <-s.done:
		return nil
	}
}

// skipRequest reads a request up to its empty line.
func skipRequest(conn net.Conn) bool {
	const most = 64 << 10
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, most)
	for size := 0; lines.Scan() && size < most; size += len(lines.Bytes()) {
		if strings.TrimSpace(lines.Text()) == "" {
			return true
		}
	}
	return false
}

const statsHead = "HTTP/1.0 200 OK\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\nContent-Type: application/json\r\n\r\n"

// text is the document as it is sent.
func (d *statsDocument) text(form statsForm) ([]byte, error) {
	var text bytes.Buffer
	if form.http {
		text.WriteString(statsHead)
	}
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if !form.minified {
		encoder.SetIndent("", "\t")
	}
	if err := encoder.Encode(d); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	return text.Bytes(), nil
}
