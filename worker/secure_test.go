package worker

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// trickle gives what is written to it to the network, or holds it until step is called.
type trickle struct {
	net.Conn
	holds bool
	held  []byte
}

func (c *trickle) Write(p []byte) (int, error) {
	if !c.holds {
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

// step gives n bytes of what is held to the network. False: nothing is left.
func (c *trickle) step(t *testing.T, n int) bool {
	t.Helper()
	n = min(n, len(c.held))
	if _, err := c.Conn.Write(c.held[:n]); err != nil {
		t.Fatal(err)
	}
	c.held = c.held[n:]
	return len(c.held) > 0
}

// newSecure has both ends shake hands; the server's is then as a slot has it.
func newSecure(t *testing.T) (*secure, *tls.Conn, *trickle) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(pair[0]) })
	file := os.NewFile(uintptr(pair[1]), "client")
	network, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = network.Close() })
	through := &trickle{Conn: network}
	stream, err := duplicate(pair[0])
	if err != nil {
		t.Fatal(err)
	}
	s := &secure{wire: wire{fd: pair[0], stream: stream, timeout: time.Second}, ready: true}
	s.conn = tls.Server(&s.wire, &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}, DynamicRecordSizingDisabled: true})
	done := make(chan error, 1)
	go func() { done <- s.conn.Handshake() }()
	client := tls.Client(through, &tls.Config{InsecureSkipVerify: true})
	if err := errors.Join(client.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	_ = stream.Close()
	s.wire.stream = nil
	return s, client, through
}

func TestSecureReadsRecordsThatComeInPieces(t *testing.T) {
	s, client, through := newSecure(t)
	through.holds = true
	want := bytes.Repeat([]byte("0123456789"), 5000) // several records
	if _, err := client.Write(want); err != nil {
		t.Fatal(err)
	}
	room, got := make([]byte, 7000), []byte(nil)
	for more := true; more || len(got) < len(want); {
		more = through.step(t, 777)
		n, errno := s.read(room)
		switch {
		case errno == syscall.EAGAIN && n == 0:
		case errno != 0 || n <= 0:
			t.Fatalf("%d, %v after %d bytes", n, errno, len(got))
		}
		got = append(got, room[:max(n, 0)]...)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes of %d", len(got), len(want))
	}
	if n, errno := s.read(room); errno != syscall.EAGAIN {
		t.Fatalf("with nothing left: %d, %v", n, errno)
	}
}

func TestSecureKeepsWhatTheClientDoesNotTake(t *testing.T) {
	s, client, _ := newSecure(t)
	head, body := []byte("head "), bytes.Repeat([]byte("b"), 1<<20)
	rest, errno := s.seal(head, body)
	if !rest || errno != 0 {
		t.Fatalf("rest %v, %v: a client that does not read takes a megabyte", rest, errno)
	}
	got := make(chan []byte)
	go func() {
		read, _ := io.ReadAll(client)
		got <- read
	}()
	drain := func() {
		for len(s.wire.out) > 0 {
			if !writable(s.wire.fd, time.Second) {
				t.Fatal("the client reads, and nothing leaves")
			}
			if errno := s.drain(); errno != 0 {
				t.Fatal(errno)
			}
		}
	}
	drain()
	s.goodbye()
	drain()
	if read := <-got; !bytes.Equal(read, append(head, body...)) {
		t.Fatalf("%d bytes", len(read))
	}
}

func TestSecureTellsTheEnd(t *testing.T) {
	s, client, _ := newSecure(t)
	if _, err := client.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	room := make([]byte, 100)
	if n, errno := s.read(room); n != 4 || errno != 0 {
		t.Fatalf("%d, %v", n, errno)
	}
	if n, errno := s.read(room); n != 0 || errno != 0 {
		t.Fatalf("at the end: %d, %v", n, errno)
	}
}
