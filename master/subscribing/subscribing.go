// Package subscribing announces an instance to routers, as uWSGI's subscribe-to does, and has them forget it before it
// stops. It sends datagrams and owns no goroutine.
package subscribing

import (
	"crypto/rsa"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/protocol/subscription"
	"envoxyd/uwsgiopts"
)

// sendTimeout is how long resolving a router's name and sending to it may take.
const sendTimeout = 2 * time.Second

// Node is what the instance says of itself.
type Node struct {
	Sockets []string // addresses of its own, as subscriptions name them by their numbers
	Cores   int
	Weight  int    // of subscriptions that say nothing else
	Notify  string // absolute path where acknowledgements come; "": nowhere
	Vassal  string // "": it is none
}

// Announcer announces. It may be used by several goroutines, one after the other.
type Announcer struct {
	Logf func(format string, args ...any)

	mu      sync.Mutex
	entries []*entry
	node    Node
	freq    time.Duration
	next    time.Time
	blocked bool
}

// entry is one subscription.
type entry struct {
	uwsgiopts.Subscribe
	key    *rsa.PrivateKey // nil: it is not signed
	check  string          // absolute; "": nothing is checked
	joined bool            // the router has been told
	failed string          // what the log has said last of sending
}

// Follow takes a configuration whose instance serves. Subscriptions that it does not name any longer are ended.
func (a *Announcer) Follow(cfg *uwsgiopts.Config, dir string, node Node) error {
	var entries []*entry
	for _, s := range cfg.Subscribe {
		e := &entry{Subscribe: s}
		if s.Check != "" {
			e.check = paths.In(dir, s.Check)
		}
		if s.KeyFile != "" {
			text, err := os.ReadFile(paths.In(dir, s.KeyFile))
			if err != nil {
				return fmt.Errorf("subscription %s: %w", s.Text, err)
			}
			if e.key, err = subscription.PrivateKey(text); err != nil {
				return fmt.Errorf("subscription %s: %s: %w", s.Text, s.KeyFile, err)
			}
		}
		if s.Address == "" && s.Socket >= len(node.Sockets) {
			return fmt.Errorf("subscription %s: there is no socket %d of the workers' to announce", s.Text, s.Socket)
		}
		entries = append(entries, e)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.entries == nil
	for _, old := range a.entries {
		if again := find(entries, old, a.node, node); again != nil {
			again.joined = old.joined
		} else if old.joined {
			a.say(old, true)
		}
	}
	if first {
		a.blocked = cfg.StartUnsubscribed
	}
	a.entries, a.node, a.freq, a.next = entries, node, max(cfg.SubscribeFreq, time.Second), time.Time{}
	return nil
}

// find finds what is the same to the router.
func find(entries []*entry, old *entry, before, now Node) *entry {
	for _, e := range entries {
		if e.Server == old.Server && e.Key == old.Key && e.address(now) == old.address(before) {
			return e
		}
	}
	return nil
}

func (e *entry) address(n Node) string {
	if e.Address != "" {
		return e.Address
	}
	return n.Sockets[e.Socket]
}

// Due tells whether it is time for Announce, and that it will be done.
func (a *Announcer) Due(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.entries) == 0 || a.blocked || now.Before(a.next) {
		return false
	}
	a.next = now.Add(a.freq)
	return true
}

// Announce tells all routers that the instance serves.
func (a *Announcer) Announce() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.blocked {
		return
	}
	for _, e := range a.entries {
		if e.check != "" {
			if _, err := os.Stat(e.check); err != nil {
				if e.joined {
					a.say(e, true)
				}
				continue
			}
		}
		a.say(e, false)
	}
}

// Leave tells all routers that the instance serves no longer; told: there were some.
func (a *Announcer) Leave() (told bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.blocked = true
	for _, e := range a.entries {
		if e.joined {
			a.say(e, true)
			told = true
		}
	}
	return told
}

// Toggle blocks subscriptions, which ends them, or lets them be again; blocked: what they are then.
func (a *Announcer) Toggle() (blocked bool) {
	a.mu.Lock()
	blocked = !a.blocked
	a.mu.Unlock()
	if blocked {
		a.Leave()
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.blocked, a.next = false, time.Time{}
	return false
}

// Any tells whether there are subscriptions.
func (a *Announcer) Any() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.entries) > 0
}

// say sends one datagram.
func (a *Announcer) say(e *entry, leave bool) {
	switch {
	case leave:
		a.Logf("unsubscribing from %s", e.Text)
	case !e.joined:
		a.Logf("subscribing to %s", e.Text)
	}
	e.joined = !leave
	if err := a.send(e, leave); err != nil {
		if text := err.Error(); text != e.failed {
			e.failed = text
			a.Logf("subscription %s: %s", e.Text, text)
		}
		return
	}
	e.failed = ""
}

func (a *Announcer) send(e *entry, leave bool) error {
	p := subscription.Packet{Leave: leave, Key: e.Key, Address: e.address(a.node), Modifier1: e.Modifier1, Modifier2: e.Modifier2, Cores: a.node.Cores,
		Weight: e.Weight, Backup: e.Backup, Protocol: e.Protocol, Algorithm: e.Algorithm, Vassal: e.Vassal,
		SNIKey: e.SNIKey, SNICert: e.SNICert, SNICA: e.SNICA}
	if p.Weight == 0 {
		p.Weight = a.node.Weight
	}
	if p.Vassal == "" {
		p.Vassal = a.node.Vassal
	}
	network := "unixgram"
	if strings.Contains(e.Server, ":") && !strings.Contains(e.Server, "/") && e.Server[0] != '@' {
		network = "udp"
	} else {
		p.Notify = a.node.Notify
	}
	data := p.Append(nil)
	if e.key != nil {
		p.Unix = time.Now().Unix()
		var err error
		if data, err = p.AppendSigned(nil, e.key, e.Digest); err != nil {
			return err
		}
	}
	conn, err := net.DialTimeout(network, e.Server, sendTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	_, err = conn.Write(data)
	return err
}
