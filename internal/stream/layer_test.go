package stream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// secured returns both ends of a connection, the server's covered by TLS.
func secured(t *testing.T) (server *Conn, client *tls.Conn) {
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
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, err := New(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	far, err := New(fds[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	below := near.Below()
	over := tls.Server(below, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	client = tls.Client(far.Below(), &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := errors.Join(over.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	near.Cover(over, below)
	return near, client
}

func write(t *testing.T, to io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
}

func TestWaitingTakesNothingFromALayer(t *testing.T) {
	server, client := secured(t)
	write(t, client, "hello")
	for range 3 {
		if err := server.WaitReadableFor(10 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 100)
	if n, err := server.ReadFor(b, 10*time.Second); string(b[:n]) != "hello" || err != nil {
		t.Fatalf("%q, %v", b[:n], err)
	}
	write(t, client, "x") // a record of a byte: more is not waited for
	if err := server.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	server.ReadTimeout(10 * time.Second)
	if n, err := server.Read(b); string(b[:n]) != "x" || err != nil {
		t.Fatalf("%q, %v", b[:n], err)
	}
	write(t, client, "abc")
	n, err := server.ReadInto(func() []byte { return b }, func() { t.Error("the buffer is given back") })
	if string(b[:n]) != "abc" || err != nil {
		t.Fatalf("%q, %v", b[:n], err)
	}
}

// What comes in one piece is more than a buffer takes, so a layer holds some of it while the socket has nothing.
func TestWhatALayerHoldsIsReadable(t *testing.T) {
	server, client := secured(t)
	write(t, client, "abcdef")
	write(t, client, "ghi")
	var got []byte
	for b := make([]byte, 2); len(got) < 9; {
		if err := server.WaitReadableFor(10 * time.Second); err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		n, err := server.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	if string(got) != "abcdefghi" {
		t.Errorf("%q", got)
	}
}

func TestALayerOutlivesAWaitThatIsTooLong(t *testing.T) {
	server, client := secured(t)
	if err := server.WaitReadableFor(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("with nothing to read: %v", err)
	}
	server.Wake()
	if _, err := server.ReadFor(make([]byte, 1), time.Second); !errors.Is(err, ErrWoken) {
		t.Fatalf("after Wake: %v", err)
	}
	server.Rest()
	write(t, client, strings.Repeat("x", 5000))
	b := make([]byte, 5000)
	server.ReadTimeout(10 * time.Second)
	if n, err := io.ReadFull(server, b); err != nil {
		t.Fatalf("%d, %v", n, err)
	}
}

func TestTheEndOfALayer(t *testing.T) {
	server, client := secured(t)
	write(t, server, "bye")
	server.CloseWrite()
	if got, err := io.ReadAll(client); string(got) != "bye" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	write(t, client, "still")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(server); string(got) != "still" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := server.WaitReadable(); err != nil {
		t.Errorf("at the end: %v", err)
	}
	n, err := server.ReadInto(func() []byte { return make([]byte, 1) }, func() {})
	if n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// A reset is no end: the client cannot take what it has for all there is.
func TestResetDoesNotEndALayerInGoodOrder(t *testing.T) {
	server, client := secured(t)
	write(t, server, "half")
	server.Reset()
	b := make([]byte, 10)
	if n, err := client.Read(b); string(b[:n]) != "half" || err != nil {
		t.Fatalf("%q, %v", b[:n], err)
	}
	if err := client.CloseWrite(); err == nil {
		if _, err := client.Read(b); err == nil {
			t.Error("the connection goes on")
		}
	}
	server, client = secured(t)
	write(t, server, "whole")
	server.Close()
	if got, err := io.ReadAll(client); string(got) != "whole" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
