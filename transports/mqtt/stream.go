package mqtt

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// stream is a connection for the library, which reads a packet's head byte by byte and
// writes each packet alone: reads go through a buffer, and what is written while a
// write is under way leaves with the next one.
type stream struct {
	net.Conn
	in *bufio.Reader

	mu      sync.Mutex
	changed sync.Cond
	out     []byte // to be written
	spare   []byte
	err     error
	closing bool
	done    chan struct{}
}

// outLimit is how much may wait to be written before a writer waits.
const outLimit = 1 << 20

// dial opens a connection as the options have it, for the inbox to acknowledge on.
func (b *inbox) dial(uri *url.URL, options paho.ClientOptions) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: options.ConnectTimeout}
	var conn net.Conn
	var err error
	if uri.Scheme == "ssl" {
		conn, err = tls.DialWithDialer(dialer, "tcp", uri.Host, options.TLSConfig)
	} else {
		conn, err = dialer.Dial("tcp", uri.Host)
	}
	if err != nil {
		return nil, err
	}
	s := newStream(conn)
	b.mu.Lock()
	b.stream = s
	b.mu.Unlock()
	return s, nil
}

func newStream(conn net.Conn) *stream {
	s := &stream{Conn: conn, in: bufio.NewReaderSize(conn, 32<<10), done: make(chan struct{})}
	s.changed.L = &s.mu
	go s.write() // until Close
	return s
}

// Read reads through the buffer.
func (s *stream) Read(p []byte) (int, error) { return s.in.Read(p) }

// Write hands p over; an error is that of an earlier write.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.out) > outLimit && s.err == nil && !s.closing {
		s.changed.Wait()
	}
	if s.err == nil && s.closing {
		s.err = net.ErrClosed
	}
	if s.err != nil {
		return 0, s.err
	}
	s.out = append(s.out, p...)
	s.changed.Broadcast()
	return len(p), nil
}

func (s *stream) write() {
	defer close(s.done)
	for {
		s.mu.Lock()
		for len(s.out) == 0 && !s.closing {
			s.changed.Wait()
		}
		if len(s.out) == 0 || s.err != nil {
			s.mu.Unlock()
			return
		}
		data := s.out
		s.out, s.spare = s.spare[:0], nil
		if !s.closing {
			_ = s.Conn.SetWriteDeadline(time.Now().Add(writeTime)) // an error shows in the write
		}
		s.mu.Unlock()
		_, err := s.Conn.Write(data)
		s.mu.Lock()
		if err != nil {
			s.err = err
		}
		if s.spare = data[:0]; cap(data) > 2*outLimit {
			s.spare = nil
		}
		s.changed.Broadcast()
		s.mu.Unlock()
		if err != nil {
			_ = s.Conn.Close() // the library's read ends with it
			return
		}
	}
}

// writeTime is how long a broker may leave what we write unread.
const writeTime = 30 * time.Second

// farewell bounds the last write.
const farewell = time.Second

// Close writes what waits, then closes.
func (s *stream) Close() error {
	s.mu.Lock()
	s.closing = true
	s.changed.Broadcast()
	s.mu.Unlock()
	_ = s.Conn.SetWriteDeadline(time.Now().Add(farewell)) // on a connection that has ended there is nothing to write
	<-s.done
	return s.Conn.Close()
}
