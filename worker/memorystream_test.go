package worker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

// streamed is a stage whose slot serves a stream in memory.
func streamed(t *testing.T, text string) (*stage, *conn, *memoryStream) {
	t.Helper()
	s := newStage(t, "http", nil)
	tunnel := *s.w.listeners[0]
	tunnel.mapped = true
	h := &http2Conn{w: s.w, cn: &conn{listener: &tunnel}, tunnel: &tunnel}
	cn := h.inner(-1)
	cn.memory = newMemoryStream()
	s.w.ready.put(&request{conn: cn, text: []byte(text)})
	return s, cn, cn.memory
}

// rest is all that is read from a stream, or an error.
func rest(m *memoryStream) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	text, err := io.ReadAll(readFunc(func(room []byte) (int, error) { return m.read(ctx, room[:min(len(room), 7)]) }))
	return string(text), err
}

func (s *stage) ends() {
	s.Helper()
	s.w.Stop(stopping, 0)
	if got := s.slot.next(); got != nextStop {
		s.Fatalf("next() is %d", got)
	}
}

func TestAStreamInMemoryNeedsNoDescriptor(t *testing.T) {
	s, cn, m := streamed(t, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	over := cn.over
	if vars, _ := s.request(); vars["PATH_INFO"] != "/x" || s.slot.io.client_fd != -1 {
		t.Fatalf("%v, descriptor %d", vars, s.slot.io.client_fd)
	}
	s.answer(okReply)
	s.ends()
	if got, err := rest(m); got != okReply || err != nil || m.opened {
		t.Errorf("%q, %v", got, err)
	}
	<-over
}

func TestAStreamInMemoryThatNeedsADescriptorGetsOne(t *testing.T) {
	s, _, m := streamed(t, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	s.request()
	if got := s.slot.write([]byte("first, "), sendLast); got != writeOK || m.opened {
		t.Fatalf("%d, opened %v", got, m.opened)
	}
	if got := s.slot.write([]byte("second, "), sendAhead); got != writeOK || !m.opened || s.slot.io.client_fd < 0 {
		t.Fatalf("%d, opened %v", got, m.opened)
	}
	s.answer("third")
	s.slot.io.result |= resClose
	s.ends()
	if got, err := rest(m); got != "first, second, third" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestALargeResponseLeavesMemory(t *testing.T) {
	s, _, m := streamed(t, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	s.request()
	large := bytes.Repeat([]byte("x"), sealedAtOnce+1)
	read := make(chan string, 1)
	go func() {
		got, _ := rest(m)
		read <- got
	}()
	if got := s.slot.write(large, sendLast); got != writeOK || !m.opened {
		t.Fatalf("%d, opened %v", got, m.opened)
	}
	s.slot.io.result |= resClose
	s.ends()
	if got := <-read; got != string(large) {
		t.Errorf("%d bytes", len(got))
	}
}

func TestAStreamThatIsGivenUp(t *testing.T) {
	s, cn, m := streamed(t, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	over := cn.over
	m.leave()
	s.ends() // it is not served
	<-over

	s, cn, m = streamed(t, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	over = cn.over
	s.request()
	m.leave()
	if got := s.slot.write([]byte("text"), sendLast); got != writeGone || s.slot.response.errno != syscall.EPIPE {
		t.Errorf("a write after that is %d, %v", got, s.slot.response.errno)
	}
	s.slot.io.result |= resBroken
	s.ends()
	<-over
}

func TestAStreamIsReadUntilItsContextEnds(t *testing.T) {
	for _, opened := range []bool{false, true} {
		m := newMemoryStream()
		if opened {
			if err := m.open(&conn{}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Millisecond, cancel)
		var room [9]byte
		if n, err := m.read(ctx, room[:]); n != 0 || err == nil {
			t.Errorf("opened %v: %d bytes", opened, n)
		}
		if n, err := m.read(ctx, room[:]); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("opened %v: %d bytes, %v", opened, n, err)
		}
		m.leave()
	}
}

func TestARequestThatIsTooLongForASlotIsRefused(t *testing.T) {
	s, _, m := streamed(t, "GET /"+strings.Repeat("x", inputSize)+" HTTP/1.1\r\nHost: h\r\n\r\n")
	read := make(chan string, 1)
	go func() {
		got, _ := rest(m)
		read <- got
	}()
	th := s.start(0) // it leaves the request to a goroutine, and waits
	if got := <-read; !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("%q", got)
	}
	s.w.Stop(stopping, 0)
	th.has(nextStop)
}
