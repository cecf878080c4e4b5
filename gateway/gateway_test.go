package gateway

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"envoxyd/internal/gatewayspec"
	"envoxyd/modules/probe"
	"envoxyd/transports/mqtt"
)

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
	b.counted(gatewayspec.TallyEvents, events{Received: 60, Handled: 60, Redelivered: 3})
	b.counted(gatewayspec.TallyFilter+"b\x00in/+", events{Received: 60, Handled: 60, Redelivered: 3})
	for topic, payloads := range found {
		for n, payload := range payloads {
			if payload != fmt.Sprint(n) {
				t.Errorf("%s: %v", topic, payloads)
				break
			}
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

func TestCallsByTheClockAreCountedHoweverTheyEnd(t *testing.T) {
	for answer, want := range map[byte]events{gatewayspec.Handled: {Received: 1, Handled: 1}, gatewayspec.Failed: {Received: 1, Failed: 1}} {
		b := start(t)
		b.register(Registration{Timers: []Timer{{Name: "tick", Every: 0.01}}})
		proceed := make(chan struct{}, 1)
		b.workers(0, 1, func(delivered) byte { <-proceed; return answer })
		proceed <- struct{}{} // the call after that does not return
		want.Received++
		b.counted(gatewayspec.TallyEvents, want)
		b.counted(gatewayspec.TallyTimer+"tick", want)
		close(proceed)
	}
}

func TestAnEventOfSeveralFiltersIsCountedForEach(t *testing.T) {
	b := start(t)
	b.register(Registration{Subscriptions: []Subscription{
		{Server: localServer, Filter: "a/#"}, {Server: localServer, Filter: "a/b"}, {Server: localServer, Filter: "a/b", Name: "later"}, {Server: localServer, Filter: "c"},
	}})
	b.workers(0, 1, func(delivered) byte { return gatewayspec.Failed })
	for _, topic := range []string{"a/b", "a/c", "nobody's"} {
		if a, _ := b.call(map[string]any{"op": "publish", "server": localServer, "topic": topic}, "x"); !a.OK {
			t.Fatal(a)
		}
	}
	b.counted(gatewayspec.TallyEvents, events{Received: 3, Failed: 2, Published: 3})
	b.counted(gatewayspec.TallyFilter+"local\x00a/#", events{Received: 2, Failed: 2})
	b.counted(gatewayspec.TallyFilter+"local\x00a/b", events{Received: 1, Failed: 1})
	b.counted(gatewayspec.TallyFilter+"local\x00c", events{})
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
			t.Fatalf("received %v", seen)
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
	var found struct {
		Connectors map[string]gatewayspec.Condition
	}
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
