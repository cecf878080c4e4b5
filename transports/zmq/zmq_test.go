package zmq

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func serve(t *testing.T, answer func(context.Context, []byte, string) []byte) (*Client, *Server, func()) {
	t.Helper()
	listener := listen(t)
	server := &Server{Answer: answer, Logf: t.Logf}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(listener) }()
	stop := sync.OnceFunc(func() {
		listener.Close()
		<-done
		server.Close(time.Second)
	})
	t.Cleanup(stop)
	client := &Client{Endpoint: "tcp://" + listener.Addr().String(), MaxConnections: 4}
	t.Cleanup(client.Close)
	return client, server, stop
}

func TestManyRequestsAtATime(t *testing.T) {
	client, _, _ := serve(t, func(_ context.Context, request []byte, _ string) []byte { return append([]byte("re: "), request...) })
	var all sync.WaitGroup
	for n := range 40 {
		all.Go(func() {
			text := strings.Repeat(fmt.Sprint(n), 1+n*50)
			reply, err := client.Do(t.Context(), []byte(text), false)
			if err != nil || string(reply) != "re: "+text {
				t.Errorf("%d: %.20q, %v", n, reply, err)
			}
		})
	}
	all.Wait()
	if n := len(client.idle); n > 4 || n == 0 {
		t.Errorf("%d connections are kept, the bound is 4", n)
	}
}

func TestAServerThatComesLateIsWaitedFor(t *testing.T) {
	listener := listen(t)
	address := listener.Addr().String()
	listener.Close()
	client := &Client{Endpoint: "tcp://" + address}
	defer client.Close()
	result := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() {
		_, err := client.Do(ctx, []byte("{}"), false)
		result <- err
	}()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip(err) // somebody took the port
	}
	server := &Server{Answer: func(context.Context, []byte, string) []byte { return []byte("{}") }, Logf: t.Logf}
	go server.Serve(listener)
	if err := <-result; err != nil {
		t.Error(err)
	}
	listener.Close()
	server.Close(time.Second)
}

func TestNoReplyInTime(t *testing.T) {
	client, _, _ := serve(t, func(ctx context.Context, _ []byte, _ string) []byte { <-ctx.Done(); return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Do(ctx, []byte("{}"), true); !errors.Is(err, ErrTimeout) {
		t.Errorf("%v", err)
	}
}

func TestAConnectionThatIsLostAfterTheRequest(t *testing.T) {
	var asked atomic.Int32
	client, _, _ := serve(t, func(_ context.Context, request []byte, _ string) []byte {
		if asked.Add(1) == 1 {
			return nil
		}
		return request
	})
	if _, err := client.Do(t.Context(), []byte("once"), false); !errors.Is(err, ErrLost) {
		t.Errorf("not to be repeated: %v", err)
	}
	asked.Store(0)
	if reply, err := client.Do(t.Context(), []byte("twice"), true); err != nil || string(reply) != "twice" || asked.Load() != 2 {
		t.Errorf("to be repeated: %q, %v after %d", reply, err, asked.Load())
	}
}

func TestAKeptConnectionThatWasClosedIsNotUsed(t *testing.T) {
	client, server, _ := serve(t, func(_ context.Context, request []byte, _ string) []byte { return request })
	for range 3 {
		if _, err := client.Do(t.Context(), []byte("x"), false); err != nil {
			t.Fatal(err)
		}
		server.mu.Lock()
		for conn := range server.peers {
			conn.Close()
		}
		server.mu.Unlock()
	}
}

func TestCloseAnswersWhatIsInHand(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	client, _, stop := serve(t, func(_ context.Context, request []byte, _ string) []byte {
		close(entered)
		<-leave
		return request
	})
	result := make(chan error, 1)
	go func() {
		_, err := client.Do(context.Background(), []byte("x"), false)
		result <- err
	}()
	<-entered
	go stop()
	close(leave)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestALengthThatCannotBeIsNotBelieved(t *testing.T) {
	_, server, _ := serve(t, func(_ context.Context, request []byte, _ string) []byte { return request })
	_ = server
	ours, theirs := net.Pipe()
	b := newBound(theirs)
	b.skip = 0
	go func() {
		frame := append([]byte{2}, binary.BigEndian.AppendUint64(nil, 1<<40)...)
		_, _ = ours.Write(frame)
	}()
	buffer := make([]byte, 9)
	for {
		_, err := b.Read(buffer)
		if errors.Is(err, ErrTooLong) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnIntroductionThatIsCutShortEndsThatPeerAlone(t *testing.T) {
	client, _, _ := serve(t, func(_ context.Context, request []byte, _ string) []byte { return request })
	conn, err := net.Dial("tcp", strings.TrimPrefix(client.Endpoint, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hello := append([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03\x00NULL"), make([]byte, greeting-16)...)
	if _, err := conn.Write(append(hello, "\x04\x08\x05READY\x01A"...)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil { // until the server hangs up
		t.Errorf("the connection stays: %v", err)
	}
	if reply, err := client.Do(t.Context(), []byte("x"), false); err != nil || string(reply) != "x" {
		t.Errorf("another peer: %q, %v", reply, err)
	}
}

func TestClosingDoesNotWaitForAPeerThatSaysNothing(t *testing.T) {
	client, server, stop := serve(t, func(_ context.Context, request []byte, _ string) []byte { return request })
	conn, err := net.Dial("tcp", strings.TrimPrefix(client.Endpoint, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for there := 0; there == 0; {
		server.mu.Lock()
		there = len(server.peers)
		server.mu.Unlock()
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestFramesOfAMessageAreCounted(t *testing.T) {
	ours, theirs := net.Pipe()
	b := newBound(theirs)
	b.skip = 0
	go func() {
		for range maxFrames + 2 {
			if _, err := ours.Write([]byte{1, 0}); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 2)
	for n := range 2 * maxFrames {
		_, err := b.Read(buffer)
		if errors.Is(err, ErrTooLong) {
			if n < maxFrames {
				t.Errorf("after %d frames", n)
			}
			theirs.Close()
			return
		}
	}
	t.Error("frames without end were read")
}

func TestAddress(t *testing.T) {
	for endpoint, want := range map[string]string{
		"tcp://*:5555": ":5555", "tcp://127.0.0.1:1": "127.0.0.1:1", ":5": ":5", "ipc:///tmp/x": "", "tcp://host": "", "tcp://[::1]:9": "[::1]:9",
	} {
		if got, err := Address(endpoint); got != want || (err == nil) != (want != "") {
			t.Errorf("Address(%q) = %q, %v", endpoint, got, err)
		}
	}
}

// FuzzBound: whatever a peer sends, reading ends with an error or with as many bytes as came.
func FuzzBound(f *testing.F) {
	f.Add([]byte{0, 3, 'a', 'b', 'c', 2, 0, 0, 0, 0, 0, 0, 0, 1, 'x'})
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, theirs := net.Pipe()
		go func() { _, _ = ours.Write(data); ours.Close() }()
		b := newBound(theirs)
		b.skip = 0
		buffer := make([]byte, 7)
		total := 0
		for {
			n, err := b.Read(buffer)
			total += n
			if err != nil {
				break
			}
		}
		if b.refused == nil && total != len(data) {
			t.Errorf("%d bytes of %d", total, len(data))
		}
		theirs.Close()
	})
}
