package gateway

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/gateway/sidecar"
	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/shm"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/mqtt"
)

// rig is a gateway with a master's end of its sockets.
type rig struct {
	t       *testing.T
	control int
	calls   int
	health  *shm.Note
	tallies *shm.Tallies
	ended   chan error
}

func note(t *testing.T) (*os.File, *shm.Note) {
	t.Helper()
	file, err := shm.NewNoteFile("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	opened, err := shm.OpenNote(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return file, opened
}

func pair(t *testing.T) [2]int {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds
}

func start(t *testing.T) *rig {
	t.Helper()
	state, _ := note(t)
	healthFile, health := note(t)
	control, calls := pair(t), pair(t)
	progress, err := shm.NewProgressFile("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { progress.Close() })
	talliesFile, err := shm.NewTalliesFile()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { talliesFile.Close() })
	tallies, err := shm.OpenTallies(int(talliesFile.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	b := &rig{t: t, control: control[0], calls: calls[0], health: health, tallies: tallies, ended: make(chan error, 1)}
	go func() {
		b.ended <- Run(gatewayspec.Spec{ControlFD: control[1], CallsFD: calls[1], StateFD: int(state.Fd()), HealthFD: int(healthFile.Fd()), ProgressFD: int(progress.Fd()), TalliesFD: int(talliesFile.Fd()),
			PredecessorFD: -1, Cores: 2})
	}()
	t.Cleanup(func() {
		b.order(gatewayspec.Order{Kind: gatewayspec.Stop})
		if err := <-b.ended; err != nil {
			t.Error(err)
		}
		_ = unix.Close(b.control)
		_ = unix.Close(b.calls)
	})
	return b
}

func (b *rig) order(o gatewayspec.Order, fds ...int) {
	text, err := json.Marshal(o)
	if err == nil {
		var rights []byte
		if len(fds) > 0 {
			rights = unix.UnixRights(fds...)
		}
		err = unix.Sendmsg(b.control, text, rights, nil, 0)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// call makes one call as a worker does.
func (b *rig) call(head map[string]any, payload string) (sidecar.Answer, string) {
	b.t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := unix.Sendmsg(b.calls, []byte("c"), unix.UnixRights(fds[1]), nil, 0); err != nil {
		b.t.Fatal(err)
	}
	_ = unix.Close(fds[1])
	stream := os.NewFile(uintptr(fds[0]), "stream")
	defer stream.Close()
	text, err := json.Marshal(head)
	if err != nil {
		b.t.Fatal(err)
	}
	frame := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(payload)))
	if _, err := stream.Write(append(append(frame, text...), payload...)); err != nil {
		b.t.Fatal(err)
	}
	first, second, err := sidecar.ReadFrame(stream)
	if err != nil {
		b.t.Fatal(err)
	}
	var a sidecar.Answer
	if err := json.Unmarshal(first, &a); err != nil {
		b.t.Fatal(err)
	}
	return a, string(second)
}

func (b *rig) register(r Registration) {
	b.t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if a, _ := b.call(map[string]any{"op": "register"}, string(text)); !a.OK {
		b.t.Fatal(a)
	}
}

// events are counters in the order of gatewayspec's.
type events struct{ Received, Handled, Failed, Redelivered, Dropped, Published uint64 }

// counted waits until that is counted under a name.
func (b *rig) counted(name string, want events) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		var n [shm.TallyCounters]uint64
		b.tallies.Read(name, func(rest string, counters [shm.TallyCounters]uint64) {
			if rest == "" {
				n = counters
			}
		})
		got := events{n[gatewayspec.CountReceived], n[gatewayspec.CountHandled], n[gatewayspec.CountFailed], n[gatewayspec.CountRedelivered], n[gatewayspec.CountDropped], n[gatewayspec.CountPublished]}
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%q: %+v, want %+v", name, got, want)
		}
	}
}

// delivered is one message that a worker got.
type delivered struct {
	topic, payload string
	again          bool
}

// workers stand at the other end of a handover socket. handle says what to answer to a
// message; 0 is to die at it.
func (b *rig) workers(generation, n int, handle func(delivered) byte) {
	b.t.Helper()
	fds := pair(b.t)
	b.order(gatewayspec.Order{Kind: gatewayspec.Activate, Generation: generation, Cores: n}, fds[1])
	_ = unix.Close(fds[1])
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for {
				var text [256]byte
				var rights [64]byte
				size, more, _, _, err := unix.Recvmsg(fds[0], text[:], rights[:], unix.MSG_CMSG_CLOEXEC)
				if err != nil || size == 0 {
					return
				}
				messages, err := unix.ParseSocketControlMessage(rights[:more])
				if err != nil {
					b.t.Error(err)
					return
				}
				got, err := unix.ParseUnixRights(&messages[0])
				if err != nil {
					b.t.Error(err)
					return
				}
				work(os.NewFile(uintptr(got[0]), "delivery"), handle)
			}
		})
	}
	b.t.Cleanup(func() {
		_ = unix.Shutdown(fds[0], unix.SHUT_RDWR)
		all.Wait()
		_ = unix.Close(fds[0])
	})
}

func work(stream *os.File, handle func(delivered) byte) {
	defer stream.Close()
	in := bufio.NewReader(stream)
	var head [uwsgi.HeaderSize]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return
	}
	block := make([]byte, uwsgi.ParseHeader(head[:]).Size)
	if _, err := io.ReadFull(in, block); err != nil {
		return
	}
	length := 0
	for rest := block; len(rest) > 0; {
		key, value, more, err := uwsgi.Next(rest)
		if err != nil {
			return
		}
		if string(key) == "CONTENT_LENGTH" {
			_, _ = fmt.Sscan(string(value), &length)
		}
		rest = more
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(in, body); err != nil {
		return
	}
	_, _ = stream.WriteString("HTTP/1.1 200 OK\r\n\r\n")
	if length == 0 { // a timer
		_, _ = stream.Write([]byte{handle(delivered{})})
		return
	}
	for len(body) > 0 {
		size, topic := int(binary.LittleEndian.Uint32(body)), int(binary.LittleEndian.Uint16(body[4:]))
		flags := body[9]
		body = body[12:]
		mark := handle(delivered{string(body[:topic]), string(body[topic : topic+size]), flags&2 != 0})
		if mark == 0 {
			return
		}
		if _, err := stream.Write([]byte{mark}); err != nil {
			return
		}
		body = body[topic+size:]
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func service(address string, more string) Registration {
	return Registration{Service: "tested", Conf: json.RawMessage(fmt.Sprintf(`{"log": {"level": 0}, "mqtt_servers": {"b": {"bind": "mqtt://%s", "embedded": true%s}}}`, address, more))}
}

// peer is a client that is nobody of ours.
func peer(t *testing.T, address string, receive func(*mqtt.Message)) *mqtt.Client {
	t.Helper()
	client, err := mqtt.Open(mqtt.Config{Bind: "mqtt://" + address, ClientID: rand.Text(), Clean: true}, receive, func(bool, string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(0, false) })
	<-client.Ready()
	return client
}

// subscribedPeer is connected once the gateway has its subscriptions.
func subscribedPeer(t *testing.T, b *rig, address string) *mqtt.Client {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if a, _ := b.call(map[string]any{"op": "connected", "server": "b"}, ""); a.OK {
			return peer(t, address, func(*mqtt.Message) {})
		}
		if time.Now().After(deadline) {
			t.Fatal("the gateway does not connect")
		}
	}
}

// eventually waits until the condition holds.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}
