package stream

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serve has a listener of this package on a socket of package net's.
func serve(t *testing.T, network, address string) (*Listener, net.Listener) {
	t.Helper()
	made, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { made.Close() })
	file, err := made.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, made
}

func TestBytesGoBothWays(t *testing.T) {
	for _, c := range [][2]string{{"tcp", "127.0.0.1:0"}, {"tcp", "[::1]:0"}, {"unix", filepath.Join(t.TempDir(), "s")}, {"unix", "@envoxyd-stream-test"}, {"unix", "@envoxyd-stream-test\x00"}} {
		l, made := serve(t, c[0], c[1])
		address := made.Addr().String()
		if c[1][0] == '@' {
			address = "@envoxyd-stream-test"
		}
		near, err := Dial(address, time.Second)
		if err != nil {
			t.Fatalf("%q: %v", c[1], err)
		}
		far, peer, err := l.Accept()
		if err != nil || peer.IsValid() != (c[0] == "tcp") {
			t.Fatalf("%q: %v from %v", c[1], err, peer)
		}
		if !near.Idle() {
			t.Error("a new connection is not idle")
		}
		if _, err := far.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		far.CloseWrite()
		if err := near.WaitReadable(); err != nil || near.Idle() {
			t.Errorf("%q: %v, idle %v", c[1], err, near.Idle())
		}
		if got, err := io.ReadAll(near); string(got) != "hello" || err != nil {
			t.Errorf("%q: %q, %v", c[1], got, err)
		}
		near.Close()
		far.Close()
		l.Close()
		if _, _, err := l.Accept(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		made.Close()
	}
}

func TestWhatIsNotThereIsRefused(t *testing.T) {
	l, made := serve(t, "tcp", "127.0.0.1:0")
	address := made.Addr().String()
	l.Close()
	made.Close()
	for _, a := range []string{address, filepath.Join(t.TempDir(), "absent"), "@envoxyd-absent", "host.invalid:1", "127.0.0.1:x"} {
		if _, err := Dial(a, time.Second); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", a, err)
		}
	}
}

// A unix socket whose queue is full fails at once; Dial waits for it, but not for ever.
func TestAFullQueueIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	first, err := Dial(path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := Dial(path, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, ErrRefused) {
		t.Fatalf("with a full queue: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		c, err := Dial(path, 10*time.Second)
		if err == nil {
			c.Close()
		}
		done <- err
	}()
	if c, _, err := l.Accept(); err != nil {
		t.Fatal(err)
	} else {
		c.Close()
	}
	if err := <-done; err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestWakeEndsAReadThatWaits(t *testing.T) {
	l, made := serve(t, "tcp", "127.0.0.1:0")
	near, err := Dial(made.Addr().String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, _, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	done := make(chan error, 1)
	go func() {
		_, err := near.Read(make([]byte, 1))
		done <- err
	}()
	near.Wake()
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
