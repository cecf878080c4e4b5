package relay

import (
	"io"
	"sync"
	"time"

	"envoxyd/internal/stream"
	"envoxyd/protocol/uwsgi"
)

const (
	askTimeout  = time.Second // for a node's answer to the question
	plainFor    = time.Hour   // after which a node that has not kept connections is asked again
	mostAsked   = 4096        // nodes whose answers are known at a time
	greetLength = uwsgi.HeaderSize
)

var (
	greeting = uwsgi.Header{Modifier1: uwsgi.ModifierPing, Modifier2: uwsgi.PingKeep}
	granted  = uwsgi.AppendHeader(nil, greeting)
)

// keeping is which nodes that speak uwsgi serve more than one request on a connection: instances of envoxyd do when
// they are asked by a ping of their own; to all others that is a ping, and they close. A node is asked on a connection
// without requests first. Its zero value is ready.
type keeping struct {
	mu     sync.Mutex
	all    map[string]verdict
	asking sync.WaitGroup
}

// verdict is what is known of an address.
type verdict struct {
	keeps bool
	until time.Time // zero: until the node fails
}

// keeps tells whether the node at the address is known to keep connections.
func (k *keeping) keeps(address string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[address].keeps
}

// set notes an answer.
func (k *keeping) set(address string, v verdict) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil || len(k.all) >= mostAsked {
		k.all = map[string]verdict{}
	}
	k.all[address] = v
}

// forget has the node asked again.
func (k *keeping) forget(address string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, address)
}

// ask finds out whether the node at the address keeps connections, if that is not known.
func (k *keeping) ask(address string, connect time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v, known := k.all[address]; known && (v.until.IsZero() || time.Now().Before(v.until)) {
		return
	}
	if k.all == nil || len(k.all) >= mostAsked {
		k.all = map[string]verdict{}
	}
	k.all[address] = verdict{until: time.Now().Add(plainFor)} // until there is an answer
	k.asking.Go(func() {
		if asked(address, connect) {
			k.set(address, verdict{keeps: true})
		}
	})
}

// asked puts the question. Whatever is not the answer of an envoxyd means no.
func asked(address string, connect time.Duration) bool {
	conn, err := stream.Dial(address, min(connect, askTimeout))
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.WriteTimeout(askTimeout)
	if _, err := conn.Write(granted); err != nil {
		return false
	}
	conn.ReadTimeout(askTimeout)
	var answer [greetLength]byte
	_, err = io.ReadFull(conn, answer[:])
	return err == nil && uwsgi.ParseHeader(answer[:]) == greeting
}

// AskKeeping has the node asked whether it keeps connections, if that is not known. The node speaks uwsgi.
func (up *Upstream) AskKeeping() { up.all.keeping.ask(up.Address, Millis(up.all.Spec.ConnectMillis)) }

// AppendGreeting appends what a new connection begins with, if the node has been found to keep connections.
func (up *Upstream) AppendGreeting(packet []byte) []byte {
	if up.greeted = !up.fresh && !up.Reused && up.all.keeping.keeps(up.Address); up.greeted {
		packet = append(packet, granted...)
		up.greets = greetLength
	}
	return packet
}

// Greeted tells whether the connection began with a greeting that the node has not answered yet: it has no request of it.
func (up *Upstream) Greeted() bool { return up.greeted && up.greets > 0 }

// Keeps tells whether a node that speaks uwsgi serves another request on the connection.
func (up *Upstream) Keeps() bool {
	return up.greets == 0 && (up.greeted || up.Reused)
}

// TakeGreeting takes the node's answer to the greeting off data, as far as it is there. False: it is not that of a node
// that keeps connections; the node has not looked at the request behind it.
func (up *Upstream) TakeGreeting(data []byte) ([]byte, bool) {
	for up.greets > 0 && len(data) > 0 {
		if data[0] != granted[greetLength-up.greets] {
			up.all.keeping.set(up.Address, verdict{until: time.Now().Add(plainFor)})
			return data, false
		}
		up.greets--
		data = data[1:]
	}
	return data, true
}
