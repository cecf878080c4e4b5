package mqtt

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// What this package relies on beyond the library's documentation. A version of it that fails
// here needs more than a new number in go.mod.

// recorder is a store that notes what the library does with it.
type recorder struct {
	*store
	mu    sync.Mutex
	calls []string
}

func newRecorder() *recorder {
	r := &recorder{}
	r.store = newStore(func() {}, func(back []outgoing) { r.note(fmt.Sprintf("%d come back", len(back))) })
	return r
}

func (r *recorder) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, text)
}

func (r *recorder) Put(key string, packet packets.ControlPacket) {
	r.note("put " + key)
	r.store.Put(key, packet)
}

func (r *recorder) Del(key string) {
	r.note("del " + key)
	r.store.Del(key)
}

func (r *recorder) All() []string {
	r.note("all")
	return r.store.All()
}

// take is what was noted since the last time.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// library is a client of the library's with the options that ours has, as far as they matter here.
type library struct {
	paho.Client
	t     *testing.T
	store *recorder
	lost  chan error
}

func newLibrary(t *testing.T, f *fake, clean bool) *library {
	t.Helper()
	l := &library{t: t, store: newRecorder(), lost: make(chan error, 10)}
	c := &Client{cfg: Config{Bind: f.bind(), ClientID: "contract", Clean: clean}, ctx: t.Context()}
	options, err := c.options()
	if err != nil {
		t.Fatal(err)
	}
	options.SetStore(l.store).SetConnectionLostHandler(func(_ paho.Client, reason error) { l.lost <- reason })
	l.Client = paho.NewClient(options)
	t.Cleanup(func() { l.Disconnect(100) })
	return l
}

// connect has the library connect to the fake, which accepts.
func (l *library) connect(f *fake) (*peer, paho.Token) {
	l.t.Helper()
	token := l.Connect()
	return f.accept(0), token
}

func (l *library) up(token paho.Token) {
	l.t.Helper()
	if !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		l.t.Fatalf("not connected: %v", token.Error())
	}
}

func (l *library) awaitLost() {
	l.t.Helper()
	select {
	case <-l.lost:
	case <-time.After(20 * time.Second):
		l.t.Fatal("the library does not say that the connection is lost")
	}
}

func closed(token paho.Token) bool {
	select {
	case <-token.Done():
		return true
	default:
		return false
	}
}

func TestContractPublishedMessagesAreStoredUntilConfirmed(t *testing.T) {
	f := newFake(t)
	l := newLibrary(t, f, false)
	p, token := l.connect(f)
	l.up(token)
	if got := l.store.take(); !slices.Equal(got, []string{"all"}) {
		t.Errorf("connecting: %v", got)
	}
	l.Publish("a", 1, false, []byte("1"))
	id := expect[*packets.PublishPacket](p).MessageID
	l.Publish("a", 2, false, []byte("2"))
	expect[*packets.PublishPacket](p)
	l.Publish("a", 0, false, []byte("3"))
	expect[*packets.PublishPacket](p)
	if got := l.store.take(); !slices.Equal(got, []string{fmt.Sprintf("put o.%d", id), fmt.Sprintf("put o.%d", id+1)}) {
		t.Errorf("publishing: %v", got)
	}
	p.write(0x40, 2, 0, byte(id))
	p.write(0x50, 2, 0, byte(id+1))
	if released := expect[*packets.PubrelPacket](p); released.MessageID != id+1 || l.store.len() != 1 {
		t.Errorf("%v, %d are stored: that of QoS 2 is until PUBCOMP", released, l.store.len())
	}
	p.write(0x70, 2, 0, byte(id+1))
	waitFor(t, "nothing is stored", func() bool { return l.store.len() == 0 })
}

func TestContractConnectIsDoneWhenAllThatIsStoredIsSentAgain(t *testing.T) {
	f := newFake(t)
	l := newLibrary(t, f, false)
	p, token := l.connect(f)
	l.up(token)
	var ids []uint16
	for n := range 20 {
		l.Publish("a", byte(1+n%2), false, fmt.Append(nil, n))
		ids = append(ids, expect[*packets.PublishPacket](p).MessageID)
	}
	p.conn.Close()
	l.awaitLost()
	p, token = l.connect(f)
	l.up(token)
	l.Publish("a", 0, false, []byte("new"))
	for n, id := range ids {
		if m := expect[*packets.PublishPacket](p); m.MessageID != id || string(m.Payload) != fmt.Sprint(n) || !m.Dup {
			t.Fatalf("message %d was sent again as %v", n, m)
		}
	}
	if m := expect[*packets.PublishPacket](p); string(m.Payload) != "new" {
		t.Errorf("%v", m)
	}
	l.Publish("a", 1, false, []byte{})
	if m := expect[*packets.PublishPacket](p); slices.Contains(ids, m.MessageID) {
		t.Errorf("identifier %d is used twice", m.MessageID)
	}
}

func TestContractANewSessionResetsTheStore(t *testing.T) {
	f := newFake(t)
	l := newLibrary(t, f, true)
	p, token := l.connect(f)
	l.up(token)
	l.Publish("a", 1, false, []byte("x"))
	expect[*packets.PublishPacket](p)
	p.conn.Close()
	l.awaitLost()
	l.store.take()
	p, token = l.connect(f)
	l.up(token)
	if got := l.store.take(); !slices.Equal(got, []string{"1 come back"}) {
		t.Errorf("connecting again: %v", got)
	}
	p.silent()
}

func TestContractReleasesAreAnsweredWhateverTheLibraryKnows(t *testing.T) {
	f := newFake(t)
	l := newLibrary(t, f, false)
	p, token := l.connect(f)
	l.up(token)
	l.store.take()
	p.write(0x62, 2, 0, 9)
	if m := expect[*packets.PubcompPacket](p); m.MessageID != 9 {
		t.Errorf("%v", m)
	}
	if got := l.store.take(); !slices.Equal(got, []string{"put i.9", "del i.9"}) {
		t.Errorf("%v", got)
	}
}

func TestContractASubscriptionIsOnePacket(t *testing.T) {
	f := newFake(t)
	l := newLibrary(t, f, false)
	p, token := l.connect(f)
	l.up(token)
	l.store.take()
	filter := "$share/group/a/+"
	made := l.SubscribeMultiple(map[string]byte{filter: 1}, nil)
	asked := expect[*packets.SubscribePacket](p)
	if !slices.Equal(asked.Topics, []string{filter}) || !slices.Equal(asked.Qoss, []byte{1}) {
		t.Errorf("%v", asked)
	}
	p.write(0x90, 3, 0, byte(asked.MessageID), 0x80)
	if !made.WaitTimeout(20*time.Second) || made.Error() != nil || made.(*paho.SubscribeToken).Result()[filter] != refused {
		t.Errorf("%v, %v", made.Error(), made.(*paho.SubscribeToken).Result())
	}
	made = l.SubscribeMultiple(map[string]byte{filter: 1}, nil)
	expect[*packets.SubscribePacket](p)
	p.conn.Close()
	l.awaitLost()
	if !made.WaitTimeout(20*time.Second) || made.Error() == nil {
		t.Error("one that is lost with its connection succeeds")
	}
	if l.store.len() > 0 {
		t.Errorf("subscriptions are stored: %v", l.store.All())
	}
}

func TestContractConnectionsAreLostOnceAndConnectMayFollow(t *testing.T) {
	f := newFake(t)
	l := newLibrary(t, f, false)
	for range 3 {
		p, token := l.connect(f)
		l.up(token)
		p.conn.Close()
		l.awaitLost()
	}
	token := l.Connect() // an attempt that fails is no connection that is lost
	f.accept(5)
	if !token.WaitTimeout(20*time.Second) || !errors.Is(token.Error(), packets.ErrorRefusedNotAuthorised) {
		t.Errorf("refused: %v", token.Error())
	}
	waitFor(t, "Connect may follow, soon", func() bool { token = l.Connect(); return !closed(token) })
	f.accept(0)
	l.up(token)
	if len(l.lost) != 0 {
		t.Errorf("%d connections more were lost", len(l.lost))
	}
}

func TestContractTokensOfQoS0AreDoneWhenWritten(t *testing.T) {
	f := newFake(t)
	l := newLibrary(t, f, false)
	p, token := l.connect(f)
	l.up(token)
	written := l.Publish("a", 0, false, []byte("x"))
	expect[*packets.PublishPacket](p)
	if !written.WaitTimeout(20*time.Second) || written.Error() != nil {
		t.Errorf("written: %v", written.Error())
	}
	p.conn.Close()
	l.awaitLost()
	for qos := range byte(3) {
		if token := l.Publish("a", qos, false, []byte{}); !closed(token) || !errors.Is(token.Error(), paho.ErrNotConnected) || l.store.len() != 0 {
			t.Errorf("QoS %d without a connection: %v, %d are stored", qos, token.Error(), l.store.len())
		}
	}
}

func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	limit := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(limit) {
			t.Fatal("never: " + what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
