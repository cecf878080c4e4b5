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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/shm"
	"envoxyd/modules/probe"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/mqtt"
)

// bench is a gateway with a master's end of its sockets.
type bench struct {
	t       *testing.T
	control int
	calls   int
	health  *shm.Note
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

func start(t *testing.T) *bench {
	t.Helper()
	state, _ := note(t)
	healthFile, health := note(t)
	control, calls := pair(t), pair(t)
	progress, err := shm.NewProgressFile("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { progress.Close() })
	b := &bench{t: t, control: control[0], calls: calls[0], health: health, ended: make(chan error, 1)}
	go func() {
		b.ended <- Run(gatewayspec.Spec{ControlFD: control[1], CallsFD: calls[1], StateFD: int(state.Fd()), HealthFD: int(healthFile.Fd()), ProgressFD: int(progress.Fd()),
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

func (b *bench) order(o gatewayspec.Order, fds ...int) {
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
func (b *bench) call(head map[string]any, payload string) (answer, string) {
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
	first, second, err := readFrame(stream)
	if err != nil {
		b.t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(first, &a); err != nil {
		b.t.Fatal(err)
	}
	return a, string(second)
}

func (b *bench) register(r Registration) {
	b.t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if a, _ := b.call(map[string]any{"op": "register"}, string(text)); !a.OK {
		b.t.Fatal(a)
	}
}

// delivered is one message that a worker got.
type delivered struct {
	topic, payload string
	again          bool
}

// workers stand at the other end of a handover socket. handle says what to answer to a
// message; 0 is to die at it.
func (b *bench) workers(generation, n int, handle func(delivered) byte) {
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
	<-client.Settled()
	return client
}

func TestMessagesReachWorkersInOrderAndAgainWhenAWorkerDies(t *testing.T) {
	b, address := start(t), freeAddress(t)
	r := service(address, "")
	r.Subscriptions = []Subscription{{Server: "b", Filter: "in/+", QoS: 1}}
	b.register(r)
	got := make(chan delivered, 1000)
	died := make(map[string]bool)
	var mu sync.Mutex
	b.workers(0, 2, func(m delivered) byte {
		mu.Lock()
		defer mu.Unlock()
		if m.payload == "13" && !died[m.topic] {
			died[m.topic] = true
			return 0
		}
		got <- m
		return gatewayspec.Handled
	})
	sender := subscribedPeer(t, b, address)
	for n := range 60 {
		if err := sender.Publish(fmt.Sprint("in/", n%3), fmt.Append(nil, n/3), 1, false); err != nil {
			t.Fatal(err)
		}
	}
	found := map[string][]string{}
	for range 60 {
		m := <-got
		found[m.topic] = append(found[m.topic], m.payload)
		if m.again != (m.payload == "13") {
			t.Errorf("%+v", m)
		}
	}
	for topic, payloads := range found {
		for n, payload := range payloads {
			if payload != fmt.Sprint(n) {
				t.Errorf("%s: %v", topic, payloads)
				break
			}
		}
	}
}

// subscribedPeer is connected once the gateway has its subscriptions.
func subscribedPeer(t *testing.T, b *bench, address string) *mqtt.Client {
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

func TestWorkersPublishAndTheQueueHasABound(t *testing.T) {
	b, address := start(t), freeAddress(t)
	r := service(address, `, "max_queued": 2`)
	b.register(r)
	b.workers(0, 1, func(delivered) byte { return gatewayspec.Handled })
	got := make(chan *mqtt.Message, 10)
	subscribedPeer(t, b, address)
	receiver := peer(t, address, func(m *mqtt.Message) { got <- m; m.Done() })
	if err := receiver.Subscribe(map[string]byte{"out": 1}); err != nil {
		t.Fatal(err)
	}
	if a, _ := b.call(map[string]any{"op": "publish", "server": "b", "topic": "out", "qos": 1}, "hello"); !a.OK {
		t.Error(a)
	}
	if m := <-got; string(m.Payload) != "hello" {
		t.Errorf("%q", m.Payload)
	}
	if a, _ := b.call(map[string]any{"op": "publish", "server": "b", "topic": "out", "qos": 1, "generation": 1}, "from the next"); !a.OK {
		t.Error(a)
	}
	if m := <-got; string(m.Payload) != "from the next" {
		t.Errorf("%q", m.Payload)
	}
	for _, test := range []struct{ server, topic, kind string }{{"nobody", "out", "unknown"}, {"b", "out/#", "invalid"}} {
		if a, _ := b.call(map[string]any{"op": "publish", "server": test.server, "topic": test.topic}, ""); a.Kind != test.kind {
			t.Errorf("%+v: %+v", test, a)
		}
	}
}

func TestWhatIsPublishedAtImportArrives(t *testing.T) {
	b, address := start(t), freeAddress(t)
	if a, _ := b.call(map[string]any{"op": "publish", "server": "b", "topic": "in/early", "qos": 1}, "1"); !a.OK {
		t.Fatal(a)
	}
	r := service(address, "")
	r.Subscriptions = []Subscription{{Server: "b", Filter: "in/#", QoS: 1}}
	b.register(r)
	got := make(chan delivered, 10)
	b.workers(0, 1, func(m delivered) byte { got <- m; return gatewayspec.Handled })
	select {
	case m := <-got:
		if m.topic != "in/early" {
			t.Errorf("%+v", m)
		}
	case <-time.After(10 * time.Second):
		t.Error("it was lost")
	}
}

func TestEventsWithoutABroker(t *testing.T) {
	b := start(t)
	b.register(Registration{Subscriptions: []Subscription{{Server: localServer, Filter: "a/#"}}})
	got := make(chan delivered, 1)
	b.workers(0, 1, func(m delivered) byte { got <- m; return gatewayspec.Handled })
	for a, _ := b.call(map[string]any{"op": "publish", "server": localServer, "topic": "a/b"}, "x"); !a.OK; {
		t.Fatal(a)
	}
	select {
	case m := <-got:
		if m.topic != "a/b" || m.payload != "x" {
			t.Errorf("%+v", m)
		}
	case <-time.After(5 * time.Second):
		t.Error("nothing came")
	}
}

func TestTimersAreCalledInOneWorker(t *testing.T) {
	b := start(t)
	b.register(Registration{Timers: []Timer{{Name: "tick", Every: 0.02}, {Name: "wrong", Cron: "every day"}}})
	calls := make(chan struct{}, 100)
	b.workers(0, 2, func(delivered) byte { calls <- struct{}{}; return gatewayspec.Handled })
	for range 3 {
		<-calls
	}
}

func TestSubscriptionsFollowAReload(t *testing.T) {
	b, address := start(t), freeAddress(t)
	r := service(address, "")
	r.Subscriptions = []Subscription{{Server: "b", Filter: "old"}, {Server: "b", Filter: "both"}}
	b.register(r)
	b.workers(0, 1, func(delivered) byte { return gatewayspec.Handled })
	sender := subscribedPeer(t, b, address)
	r.Generation, r.Subscriptions = 1, []Subscription{{Server: "b", Filter: "new"}, {Server: "b", Filter: "both"}}
	b.register(r)
	got := make(chan string, 100)
	ended := make(chan string, 10)
	b.workers(1, 1, func(m delivered) byte {
		if m.payload == "end" {
			ended <- m.topic
		} else {
			got <- m.topic
		}
		return gatewayspec.Handled
	})
	seen := map[string]bool{}
	for deadline := time.After(10 * time.Second); !seen["new"] || !seen["both"]; {
		for _, topic := range []string{"old", "new", "both"} {
			if err := sender.Publish(topic, nil, 0, false); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case topic := <-got:
			seen[topic] = true
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("heard of %v", seen)
		}
	}
	for _, topic := range []string{"old", "new"} { // in this order on one connection; what was on its way has come by then
		if err := sender.Publish(topic, []byte("end"), 1, false); err != nil {
			t.Fatal(err)
		}
	}
	for topic := range ended {
		if topic == "old" {
			t.Error("what the new code has no handler for was delivered to it")
		}
		if topic == "new" {
			return
		}
	}
}

func TestHealthIsWrittenWhereWorkersReadIt(t *testing.T) {
	b := start(t)
	closed := freeAddress(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 100))
			_, _ = conn.Write([]byte("+PONG\r\n"))
			conn.Close()
		}
	}()
	b.register(Registration{Conf: json.RawMessage(fmt.Sprintf(`{"log": {"level": 0}, "redis_servers": {"up": {"bind": %q}, "down": {"bind": %q, "passwd": "S3CRET"}}}`,
		listener.Addr().String(), closed))})
	b.workers(0, 1, func(delivered) byte { return gatewayspec.Handled })
	var found struct{ Connectors map[string]Condition }
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		text := b.health.Read()
		if strings.Contains(string(text), "S3CRET") {
			t.Fatalf("a secret is in %s", text)
		}
		if json.Unmarshal(text, &found) == nil && found.Connectors["redis.up"].Status == "up" && found.Connectors["redis.down"].Status == "down" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s", text)
		}
	}
}

func TestRegistrationsOfLazyWorkersMerge(t *testing.T) {
	s := &state{Active: -1, Registrations: map[int]*Registration{}, ClientIDs: map[string]string{}}
	a, b := Subscription{Server: "b", Filter: "a"}, Subscription{Server: "b", Filter: "b", QoS: 1}
	s.register(&Registration{Generation: 3, Subscriptions: []Subscription{a}})
	s.register(&Registration{Generation: 3, Subscriptions: []Subscription{a, b}})
	if got := s.Registrations[3].Subscriptions; !slices.Equal(got, []Subscription{a, b}) {
		t.Errorf("%v", got)
	}
	s.activate(3)
	s.register(&Registration{Generation: 4})
	s.activate(4)
	if len(s.Registrations) != 1 {
		t.Errorf("%d registrations are kept", len(s.Registrations))
	}
	if s.clientID("b", "svc") != s.clientID("b", "other") {
		t.Error("a broker knows the service by one name")
	}
}

func TestWhatIsWrongWithOneSectionDoesNotTurnOffTheRest(t *testing.T) {
	c, err := readConf(json.RawMessage(`{"mqtt_servers": {"a": {"bind": "mqtt://h:1", "keepalive": "30", "embedded": "true"}, "b": {"keepalive": "often"}},
		"redis_servers": {"default": "r", "r": {"bind": "h:1", "passwd": 1234}}, "health": 5, "zmq_servers": {"z": {"host": "h", "port": "7"}}}`))
	for _, part := range []string{"mqtt_servers.b", "health"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
	if a := c.MQTT["a"]; len(c.MQTT) != 1 || a.KeepAlive != 30 || !a.Embedded {
		t.Errorf("%+v", c.MQTT)
	}
	if c.Redis["r"].Passwd != "1234" || len(c.Redis) != 1 || c.ZMQ["z"].Port != 7 {
		t.Errorf("%+v %+v", c.Redis, c.ZMQ)
	}
}

func TestRedisAddresses(t *testing.T) {
	for bind, want := range map[string]string{
		"h:1": "h:1", "redis://h:2/0": "h:2", "redis://u:p@h": "h:6379 u p", "rediss://h:3": "h:3 tls", "unix:///run/r.sock": "unix /run/r.sock",
	} {
		p, err := (&storeConf{Bind: bind}).redis()
		got := strings.TrimSpace(p.Network + " " + p.Address)
		if p.User != "" {
			got += " " + p.User + " " + p.Password
		}
		if p.TLS != nil {
			got += " tls"
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", bind, got, err)
		}
	}
}

func TestPostgreSQLIsLookedAtWhereThePoolConnects(t *testing.T) {
	h := &health{}
	c, err := readConf(json.RawMessage(`{"psql_servers": {"default": "main", "main": {"dsn": "postgresql+psycopg2://a:b@h:1/d", "user": "c", "passwd": 7, "port": "2"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	found := h.wanted(c)
	p, ok := found["postgres.main"].probe.(*probe.PostgreSQL)
	if len(found) != 1 || !ok {
		t.Fatalf("%v", found)
	}
	if cfg := p.Config; cfg.Host != "h" || cfg.Port != 2 || cfg.User != "c" || cfg.Password != "7" || cfg.Database != "d" {
		t.Errorf("%s:%d %s %s", cfg.Host, cfg.Port, cfg.User, cfg.Database)
	}
}
