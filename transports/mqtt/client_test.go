package mqtt

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// lines are what a client has said.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) say(_ bool, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, text)
}

func (l *lines) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.text, "\n"), part)
}

// open makes a client of the fake's.
func (f *fake) open(cfg Config, receive func(*Message)) (*Client, *lines) {
	f.t.Helper()
	cfg.Bind, cfg.ClientID = f.bind(), "tested"
	said := &lines{}
	c, err := Open(cfg, receive, said.say)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close(0, false) })
	return c, said
}

func handle(m *Message) { m.Done() }

// grant answers subscriptions.
func (p *peer) grant(count int) {
	p.t.Helper()
	for range count {
		p.write(granted(expect[*packets.SubscribePacket](p))...)
	}
}

// granted is the answer to a subscription to one filter.
func granted(asked *packets.SubscribePacket) []byte {
	return []byte{0x90, 3, byte(asked.MessageID >> 8), byte(asked.MessageID), asked.Qoss[0]}
}

// grantAll answers subscriptions until the connection ends.
func (p *peer) grantAll() {
	for {
		packet, err := packets.ReadPacket(p.conn)
		if err != nil {
			return
		}
		if asked, ok := packet.(*packets.SubscribePacket); ok {
			if _, err := p.conn.Write(granted(asked)); err != nil {
				return
			}
		}
	}
}

func TestAnAnswerThatFitsNoSubscriptionEndsTheConnectionOnly(t *testing.T) {
	for name, answer := range map[string][]byte{
		"more codes than filters": {0x90, 5, 0, 0, 1, 1, 1}, "no code": {0x90, 2, 0, 0}, "a client's packet": {0xc0, 0}, "a message of QoS 3": {0x36, 5, 0, 1, 'a', 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			c, said := f.open(Config{}, handle)
			if err := c.Subscribe(map[string]byte{"a": 1}); err != nil {
				t.Fatal(err)
			}
			p := f.accept(0)
			asked := expect[*packets.SubscribePacket](p)
			if answer[0] == 0x90 {
				answer[2], answer[3] = byte(asked.MessageID>>8), byte(asked.MessageID)
			}
			p.write(answer...)
			p.gone()
			waitFor(t, "the client says so", func() bool { return said.has("connection lost") })
			p = f.accept(0)
			p.grant(1)
			waitFor(t, "the client is back", c.Up)
		})
	}
}

func TestConnectionsThatAreLostWhileSubscribing(t *testing.T) {
	f := newFake(t)
	c, _ := f.open(Config{}, handle)
	filters := map[string]byte{}
	for n := range 50 {
		filters[fmt.Sprint("a/", n)] = 1
	}
	if err := c.Subscribe(filters); err != nil {
		t.Fatal(err)
	}
	f.accept(0).conn.Close()
	p := f.accept(0)
	p.grant(1)
	p.conn.Close()
	began := time.Now()
	p = f.accept(0)
	go p.grantAll() // also what the connection before has not got rid of
	waitFor(t, "the client is back", c.Up)
	if took := time.Since(began); took > longestPause {
		t.Errorf("it took %v", took)
	}
}

func TestRefusalsAreSaid(t *testing.T) {
	f := newFake(t)
	c, said := f.open(Config{}, handle)
	if err := c.Subscribe(map[string]byte{"a": 1, "b": 0}); err != nil {
		t.Fatal(err)
	}
	f.accept(5)
	waitFor(t, "the refused login", func() bool { return said.has("not connected: not Authorized") })
	<-c.Ready()
	p := f.accept(0)
	for range 2 {
		asked := expect[*packets.SubscribePacket](p)
		code := byte(0)
		if asked.Topics[0] == "b" {
			code = refused
		}
		p.write(0x90, 3, 0, byte(asked.MessageID), code)
	}
	waitFor(t, "the refused subscription", func() bool { return said.has(`refuses the subscription to "b"`) && c.Up() })
}

// TestPublishedMessagesStayInOrder: what the broker has not confirmed comes first on the next connection.
func TestPublishedMessagesStayInOrder(t *testing.T) {
	for _, clean := range []bool{false, true} {
		t.Run(fmt.Sprintf("clean %v", clean), func(t *testing.T) {
			f := newFake(t)
			c, _ := f.open(Config{Clean: clean}, handle)
			p := f.accept(0)
			<-c.Ready()
			publish := func(n int) {
				if err := c.Publish("a", fmt.Append(nil, n), byte(1+n%2), false); err != nil {
					t.Fatal(err)
				}
			}
			for n := range 10 {
				publish(n)
			}
			for n := range 10 {
				m := expect[*packets.PublishPacket](p)
				if string(m.Payload) != fmt.Sprint(n) {
					t.Fatalf("message %d: %v", n, m)
				}
				if n == 0 {
					p.write(0x40, 2, byte(m.MessageID>>8), byte(m.MessageID))
				}
			}
			waitFor(t, "the first is confirmed", func() bool { return c.store.len() == 9 })
			p.conn.Close()
			waitFor(t, "the connection is lost", func() bool { return !c.Up() })
			for n := range 10 {
				publish(10 + n)
			}
			p = f.accept(0)
			var confirm []byte
			for n := 1; n < 20; n++ {
				m := expect[*packets.PublishPacket](p)
				if string(m.Payload) != fmt.Sprint(n) || m.Dup != (n < 10 && !clean) {
					t.Fatalf("message %d of the next connection: %v", n, m)
				}
				if m.Qos == 2 {
					confirm = append(confirm, 0x50, 2, byte(m.MessageID>>8), byte(m.MessageID), 0x70, 2, byte(m.MessageID>>8), byte(m.MessageID))
				} else {
					confirm = append(confirm, 0x40, 2, byte(m.MessageID>>8), byte(m.MessageID))
				}
			}
			p.write(confirm...)
			if left := c.flush(20 * time.Second); left != 0 {
				t.Errorf("%d are left", left)
			}
		})
	}
}

func TestUnconfirmedMessagesAreBoundedAndCounted(t *testing.T) {
	f := newFake(t)
	c, said := f.open(Config{}, handle)
	p := f.accept(0)
	<-c.Ready()
	for range unacknowledged + 10 {
		if err := c.Publish("a", []byte("x"), 1, false); err != nil {
			t.Fatal(err)
		}
	}
	var first uint16
	for n := range unacknowledged {
		if m := expect[*packets.PublishPacket](p); n == 0 {
			first = m.MessageID
		}
	}
	p.silent()
	p.write(0x40, 2, byte(first>>8), byte(first))
	expect[*packets.PublishPacket](p)
	p.silent()
	c.Close(50*time.Millisecond, false)
	if want := fmt.Sprintf("%d messages that were to be published are lost", unacknowledged+9); !said.has(want) {
		t.Errorf("%v", said.text)
	}
}

// TestMessagesAreAcknowledgedInOrderOnTheConnectionThatIsThere: also those that came on an earlier one.
func TestMessagesAreAcknowledgedInOrderOnTheConnectionThatIsThere(t *testing.T) {
	f := newFake(t)
	taken := make(chan *Message, 10)
	c, _ := f.open(Config{}, func(m *Message) { taken <- m })
	p := f.accept(0)
	<-c.Ready()
	var got []*Message
	for id := range uint16(3) {
		p.publish("a", fmt.Sprint(id+1), 1, id+1, false)
		got = append(got, <-taken)
	}
	got[1].Done()
	p.silent() // it waits for its turn
	got[0].Done()
	for id := range uint16(2) {
		if m := expect[*packets.PubackPacket](p); m.MessageID != id+1 {
			t.Errorf("%v", m)
		}
	}
	p.conn.Close()
	waitFor(t, "the connection is lost", func() bool { return !c.Up() })
	p = f.resume()
	p.publish("a", "3", 1, 3, true) // it is with its handler
	p.publish("a", "4", 1, 4, false)
	if m := <-taken; m.ID != 4 {
		t.Errorf("%+v", m)
	}
	p.silent()
	got[2].Done()
	if m := expect[*packets.PubackPacket](p); m.MessageID != 3 {
		t.Errorf("%v", m)
	}
}

func TestMessagesOfQoS2ComeOnce(t *testing.T) {
	f := newFake(t)
	taken := make(chan *Message, 10)
	c, _ := f.open(Config{}, func(m *Message) { taken <- m })
	p := f.accept(0)
	<-c.Ready()
	p.publish("a", "1", 2, 1, false)
	(<-taken).Done()
	expect[*packets.PubrecPacket](p)
	p.publish("a", "1", 2, 1, true) // the broker has not got the answer
	expect[*packets.PubrecPacket](p)
	p.write(0x62, 2, 0, 1)
	expect[*packets.PubcompPacket](p)
	p.publish("a", "1", 2, 1, false) // another one of the same look
	(<-taken).Done()
	expect[*packets.PubrecPacket](p)
	if len(taken) > 0 {
		t.Errorf("%d more", len(taken))
	}
	if !c.Up() {
		t.Error("the connection was lost")
	}
}

func TestMessagesWithoutConfirmationGoOutOnce(t *testing.T) {
	f := newFake(t)
	c, _ := f.open(Config{}, handle)
	p := f.accept(0)
	<-c.Ready()
	for n := range 50 {
		if err := c.Publish("a", fmt.Append(nil, n), 0, false); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 50 {
		if m := expect[*packets.PublishPacket](p); string(m.Payload) != fmt.Sprint(n) {
			t.Fatalf("message %d: %v", n, m)
		}
	}
}

func TestQuietIsTheTimeSinceTheLastMessageWasHandled(t *testing.T) {
	f := newFake(t)
	taken := make(chan *Message, 10)
	c, _ := f.open(Config{}, func(m *Message) { taken <- m })
	p := f.accept(0)
	<-c.Ready()
	p.publish("a", "1", 1, 1, false)
	p.publish("a", "2", 1, 2, false)
	first, second := <-taken, <-taken
	second.Done() // it waits for its turn
	if c.Quiet() != 0 {
		t.Error("a message is not handled yet")
	}
	handled := time.Now()
	first.Done()
	expect[*packets.PubackPacket](p)
	expect[*packets.PubackPacket](p)
	if quiet := c.Quiet(); quiet == 0 || quiet > time.Since(handled) {
		t.Errorf("%v", quiet)
	}
}

func TestAMessageOfAnOldSessionIsNotAcknowledgedInANewOne(t *testing.T) {
	f := newFake(t)
	taken := make(chan *Message, 10)
	c, _ := f.open(Config{}, func(m *Message) { taken <- m })
	p := f.accept(0)
	<-c.Ready()
	p.publish("a", "old", 1, 1, false)
	old := <-taken
	p.conn.Close()
	waitFor(t, "the connection is lost", func() bool { return !c.Up() })
	p = f.accept(0) // somebody has ended the session
	waitFor(t, "it is connected", c.Up)
	p.publish("a", "new", 1, 1, false)
	latest := <-taken
	old.Done()
	p.silent()
	latest.Done()
	expect[*packets.PubackPacket](p)
}

func TestCloseEndsTheSessionIfItIsToldTo(t *testing.T) {
	f := newFake(t)
	c, _ := f.open(Config{}, handle)
	f.accept(0)
	<-c.Ready()
	go c.Close(0, true) // the test's end waits for it, too
	p, said := f.connected()
	p.write(0x20, 2, 0, 0)
	if !said.CleanSession || said.ClientIdentifier != "tested" {
		t.Errorf("%v", said)
	}
	expect[*packets.DisconnectPacket](p)
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		wide, narrow string
		covers       bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"#", "a/b", true}, {"#", "$SYS/a", false}, {"+/a", "$x/a", false}, {"a/#", "a", true}, {"a/#", "a/b/c", true},
		{"a/#", "a/#", true}, {"a/+", "a/#", false}, {"a/+", "a/+", true}, {"a/+", "a/b", true}, {"a/b", "a/+", false}, {"a/+/c", "a/b/c", true},
		{"a/+/c", "a/b", false}, {"a", "a/b", false}, {"+/+", "a/#", false}, {"+/#", "a/b", true}, {"$share/g/a/#", "$share/g/a/b", true},
	} {
		if Covers(c.wide, c.narrow) != c.covers {
			t.Errorf("%q, %q", c.wide, c.narrow)
		}
	}
}
