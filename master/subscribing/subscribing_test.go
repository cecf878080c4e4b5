package subscribing

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/protocol/subscription"
	"envoxyd/uwsgiopts"
)

// server is where datagrams come.
type server struct {
	net.PacketConn
	t *testing.T
}

func newServer(t *testing.T) *server {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &server{c, t}
}

func (s *server) address() string { return s.LocalAddr().String() }

// next is the datagram that has come; "": none has.
func (s *server) next() string {
	s.t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		s.t.Fatal(err)
	}
	data := make([]byte, 4096)
	n, _, err := s.ReadFrom(data)
	if err != nil {
		return ""
	}
	p, err := subscription.Parse(data[:n])
	if err != nil {
		s.t.Fatal(err)
	}
	word := "join"
	if p.Leave {
		word = "leave"
	}
	return fmt.Sprintf("%s %s %s %d %d", word, p.Key, p.Address, p.Cores, p.Weight)
}

// follow has the announcer follow a configuration with these subscriptions, and 127.0.0.1:1 and :2 as sockets.
func follow(t *testing.T, a *Announcer, more func(*uwsgiopts.Config), list ...uwsgiopts.Subscribe) {
	t.Helper()
	cfg := &uwsgiopts.Config{}
	cfg.Subscribe, cfg.SubscribeFreq = list, 10*time.Second
	if more != nil {
		more(cfg)
	}
	if err := a.Follow(cfg, t.TempDir(), Node{Sockets: []string{"127.0.0.1:1", "127.0.0.1:2"}, Cores: 6, Weight: 4}); err != nil {
		t.Fatal(err)
	}
}

func newAnnouncer() (*Announcer, *strings.Builder) {
	var log strings.Builder
	return &Announcer{Logf: func(format string, args ...any) { fmt.Fprintf(&log, format+"\n", args...) }}, &log
}

func TestAnInstanceAnnouncesItselfAndLeaves(t *testing.T) {
	s := newServer(t)
	a, log := newAnnouncer()
	follow(t, a, nil, uwsgiopts.Subscribe{Text: "one", Server: s.address(), Key: "k"}, uwsgiopts.Subscribe{Text: "two", Server: s.address(), Key: "l", Socket: 1, Weight: 7})
	now := time.Now()
	if !a.Due(now) || a.Due(now.Add(9*time.Second)) || !a.Due(now.Add(11*time.Second)) {
		t.Error("it is not due every ten seconds")
	}
	for range 2 {
		a.Announce()
		if one, two := s.next(), s.next(); one != "join k 127.0.0.1:1 6 4" || two != "join l 127.0.0.1:2 6 7" {
			t.Errorf("%q, %q", one, two)
		}
	}
	if !a.Leave() || a.Leave() {
		t.Error("it does not leave once")
	}
	if one, two := s.next(), s.next(); one != "leave k 127.0.0.1:1 6 4" || two != "leave l 127.0.0.1:2 6 7" {
		t.Errorf("%q, %q", one, two)
	}
	a.Announce() // of a look that was under way
	if got := s.next(); got != "" {
		t.Errorf("after it has left: %q", got)
	}
	if want := "subscribing to one\nsubscribing to two\nunsubscribing from one\nunsubscribing from two\n"; log.String() != want {
		t.Errorf("%q", log)
	}
}

func TestAReloadEndsWhatIsNamedNoLonger(t *testing.T) {
	s := newServer(t)
	a, _ := newAnnouncer()
	kept, dropped := uwsgiopts.Subscribe{Server: s.address(), Key: "kept"}, uwsgiopts.Subscribe{Server: s.address(), Key: "dropped"}
	follow(t, a, nil, kept, dropped)
	a.Announce()
	s.next()
	s.next()
	follow(t, a, nil, kept)
	if got := s.next(); !strings.HasPrefix(got, "leave dropped") || s.next() != "" {
		t.Errorf("%q", got)
	}
	if !a.Due(time.Now()) {
		t.Error("the new configuration is not announced at once")
	}
}

func TestSubscriptionsAreToggled(t *testing.T) {
	s := newServer(t)
	a, _ := newAnnouncer()
	follow(t, a, func(c *uwsgiopts.Config) { c.StartUnsubscribed = true }, uwsgiopts.Subscribe{Server: s.address(), Key: "k"})
	a.Announce()
	if a.Due(time.Now()) || s.next() != "" {
		t.Error("it has subscribed though it is not to")
	}
	if a.Toggle() || !a.Due(time.Now()) {
		t.Error("it is blocked still")
	}
	a.Announce()
	if got := s.next(); !strings.HasPrefix(got, "join") {
		t.Errorf("%q", got)
	}
	if !a.Toggle() || !strings.HasPrefix(s.next(), "leave") {
		t.Error("it has not left")
	}
}

func TestAFileSaysWhetherToSubscribe(t *testing.T) {
	s := newServer(t)
	file := filepath.Join(t.TempDir(), "there")
	a, _ := newAnnouncer()
	follow(t, a, nil, uwsgiopts.Subscribe{Server: s.address(), Key: "k", Check: file})
	for _, c := range []struct {
		there bool
		want  string
	}{{false, ""}, {true, "join"}, {false, "leave"}, {false, ""}} {
		_ = os.Remove(file)
		if c.there {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a.Announce()
		if word, _, _ := strings.Cut(s.next(), " "); word != c.want {
			t.Errorf("the file is there: %v: %q, want %q", c.there, word, c.want)
		}
	}
}

func TestWhatCannotBeAnnouncedIsAnError(t *testing.T) {
	a, log := newAnnouncer()
	cfg := &uwsgiopts.Config{}
	for _, s := range []uwsgiopts.Subscribe{{Server: "h:1", Key: "k", Socket: 2}, {Server: "h:1", Key: "k", KeyFile: "/nonexistent"}} {
		cfg.Subscribe = []uwsgiopts.Subscribe{s}
		if err := a.Follow(cfg, "/", Node{Sockets: []string{"a", "b"}}); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
	follow(t, a, nil, uwsgiopts.Subscribe{Text: "x", Server: filepath.Join(t.TempDir(), "absent"), Key: "k"})
	a.Announce()
	a.Announce()
	if n := strings.Count(log.String(), "no such file"); n != 1 {
		t.Errorf("a router that is away is told of %d times: %s", n, log)
	}
}
