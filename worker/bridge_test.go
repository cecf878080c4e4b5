package worker

import (
	"bytes"
	"crypto/tls"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newBridge has a bridge carry between the client and the file, until both have ended.
func newBridge(t *testing.T) (clear *os.File, client *tls.Conn, network *trickle, ended chan struct{}) {
	t.Helper()
	s, client, network := newSecure(t)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := duplicate(s.wire.fd)
	if err != nil {
		t.Fatal(err)
	}
	s.wire.stream, s.bridged = stream, true
	clear = os.NewFile(uintptr(pair[0]), "in the clear")
	t.Cleanup(func() { _ = clear.Close() })
	b := &bridge{secure: s, clear: os.NewFile(uintptr(pair[1]), "bridge")}
	ended = make(chan struct{})
	go func() { // ends with the test's client and file
		defer close(ended)
		b.run()
	}()
	return clear, client, network, ended
}

func waitEnded(t *testing.T, ended chan struct{}) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the bridge has not ended")
	}
}

func TestBridgeCarriesBothWaysAtOnce(t *testing.T) {
	clear, client, _, ended := newBridge(t)
	up, down := bytes.Repeat([]byte("up"), 1<<20), bytes.Repeat([]byte("down"), 1<<19)
	send := func(w io.Writer, data []byte, end func() error) {
		if _, err := w.Write(data); err != nil {
			t.Error(err)
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	}
	go send(client, up, client.CloseWrite)
	go send(clear, down, func() error { shutdown(clear, unix.SHUT_WR); return nil })
	got := make(chan []byte, 1)
	go func() {
		data, _ := io.ReadAll(clear)
		got <- data
	}()
	data, err := io.ReadAll(client) // an error without close_notify
	if err != nil || !bytes.Equal(data, down) {
		t.Fatalf("down: %d bytes, %v", len(data), err)
	}
	if data := <-got; !bytes.Equal(data, up) {
		t.Fatalf("up: %d bytes", len(data))
	}
	waitEnded(t, ended)
}

func TestBridgeTellsOneEndAndCarriesOn(t *testing.T) {
	clear, client, _, ended := newBridge(t)
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := clear.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("the client's end: %d, %v", n, err)
	}
	if _, err := clear.WriteString("answer"); err != nil {
		t.Fatal(err)
	}
	_ = clear.Close()
	if data, err := io.ReadAll(client); err != nil || string(data) != "answer" {
		t.Fatalf("%q, %v", data, err)
	}
	waitEnded(t, ended)
}

func TestBridgeTellsAWriterThatTheClientHasGone(t *testing.T) {
	clear, _, network, ended := newBridge(t)
	_ = network.Close()
	piece := make([]byte, 64<<10)
	_ = clear.SetWriteDeadline(time.Now().Add(10 * time.Second))
	for {
		if _, err := clear.Write(piece); err != nil {
			if os.IsTimeout(err) {
				t.Fatal("a writer waits for a client that has gone")
			}
			break
		}
	}
	_ = clear.Close()
	waitEnded(t, ended)
}

func TestBridgeReadsOnWhenNobodyListens(t *testing.T) {
	clear, client, _, ended := newBridge(t)
	if _, err := clear.WriteString("413"); err != nil {
		t.Fatal(err)
	}
	_ = clear.Close()
	if _, err := client.Write(make([]byte, 4<<20)); err != nil {
		t.Fatalf("the client is not let finish: %v", err)
	}
	if data, err := io.ReadAll(client); err != nil || string(data) != "413" {
		t.Fatalf("%q, %v", data, err)
	}
	_ = client.Close()
	waitEnded(t, ended)
}

func TestBridgeEndsAtRecordsThatAreBroken(t *testing.T) {
	clear, _, network, ended := newBridge(t)
	if _, err := network.Conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := clear.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("%d, %v", n, err)
	}
	_ = clear.Close()
	waitEnded(t, ended)
}
