package mqtt

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// stream is a connection for the library. Messages do not reach it: they go to arrived from
// the goroutine that reads. The library would pass each through four others: 3.5 µs in place of
// 0.3, with its acknowledgement 8.8 in place of 1.0 (BenchmarkReceive). It reads the other packets
// through a buffer, if check lets them pass, and what is written while a write is under way
// leaves with the next one.
type stream struct {
	net.Conn
	in       *bufio.Reader
	library  int // bytes of the packet at hand that are still the library's
	arrived  func(*publish)
	released func(id uint16) // by a PUBREL

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
func (c *Client) dial(uri *url.URL, options paho.ClientOptions) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.ctx, options.ConnectTimeout)
	defer cancel()
	var conn net.Conn
	var err error
	if uri.Scheme == "ssl" {
		conn, err = (&tls.Dialer{Config: options.TLSConfig}).DialContext(ctx, "tcp", uri.Host)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", uri.Host)
	}
	if err != nil {
		return nil, err
	}
	s := newStream(conn, c.arrived, c.inbox.release)
	c.inbox.mu.Lock()
	c.inbox.stream = s
	c.inbox.mu.Unlock()
	return s, nil
}

func newStream(conn net.Conn, arrived func(*publish), released func(id uint16)) *stream {
	s := &stream{Conn: conn, in: bufio.NewReaderSize(conn, 32<<10), arrived: arrived, released: released, done: make(chan struct{})}
	s.changed.L = &s.mu
	go s.write() // until Close
	return s
}

// Read reads what is the library's, past messages.
func (s *stream) Read(p []byte) (int, error) {
	for s.library == 0 {
		kind, head, size, err := s.head()
		if err != nil {
			return 0, err
		}
		if kind>>4 != kindPublish {
			if err := s.check(kind>>4, head, size); err != nil {
				return 0, err
			}
			s.library = head + size
			break
		}
		_, _ = s.in.Discard(head) // it is in the buffer
		body, err := s.body(size)
		if err != nil {
			return 0, err
		}
		m, err := parsePublish(kind, body)
		if err != nil {
			return 0, err
		}
		s.arrived(m)
	}
	n, err := s.in.Read(p[:min(len(p), s.library)])
	s.library -= n
	return n, err
}

// maxPrealloc is how much memory is allocated for a packet before its bytes have arrived.
const maxPrealloc = 1 << 20

func (s *stream) body(size int) ([]byte, error) {
	if size <= maxPrealloc {
		body := make([]byte, size)
		_, err := io.ReadFull(s.in, body)
		if size > 0 {
			err = cutShort(err)
		}
		return body, err
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, s.in, int64(size)); err != nil {
		return nil, cutShort(err)
	}
	return body.Bytes(), nil
}

// cutShort is the error of a packet of which some was there.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// head reads a packet's fixed header (MQTT 3.1.1, section 2.2): its first byte, the
// header's length, and the length of what follows.
func (s *stream) head() (kind byte, head, size int, err error) {
	for head = 2; head <= 5; head++ {
		start, err := s.in.Peek(head)
		if err != nil {
			if len(start) > 0 {
				err = cutShort(err)
			}
			return 0, 0, 0, err
		}
		digit := start[head-1]
		size |= int(digit&127) << (7 * (head - 2))
		if digit&128 == 0 {
			return start[0], head, size, nil
		}
	}
	return 0, 0, 0, ErrPacket
}

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

// closeTime bounds the last write.
const closeTime = time.Second

// Close writes what waits, then closes.
func (s *stream) Close() error {
	s.mu.Lock()
	s.closing = true
	s.changed.Broadcast()
	s.mu.Unlock()
	_ = s.Conn.SetWriteDeadline(time.Now().Add(closeTime)) // on a connection that has ended there is nothing to write
	<-s.done
	return s.Conn.Close()
}
