package nodes

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// MaxNodes is how many nodes a table takes by announcements: whoever may announce must not fill the memory.
const MaxNodes = 1 << 16

// maxWeight bounds what an announcement may say of its weight, so that sums do not overflow.
const maxWeight = 1 << 20

// ErrFull is returned for an announcement that finds no room.
var ErrFull = fmt.Errorf("there are %d nodes already", MaxNodes)

// ErrNoKey is returned for an announcement without a key or an address.
var ErrNoKey = errors.New("it names no key or no address")

// Announcement is what a node says of itself, and what is known of a static one.
type Announcement struct {
	Key       string `json:"key"`
	Address   string `json:"address"` // host:port, a path, @abstract
	Modifier1 byte   `json:"modifier1,omitempty"`
	Modifier2 byte   `json:"modifier2,omitempty"`
	Cores     int    `json:"cores,omitempty"`
	Load      int    `json:"load,omitempty"`
	Weight    int    `json:"weight,omitempty"`   // 0 counts as 1
	Backup    int    `json:"backup,omitempty"`   // nodes of a higher level serve when there is none of a lower one
	Protocol  string `json:"protocol,omitempty"` // "http", "uwsgi"; "": what the router speaks to all
	Algorithm string `json:"algorithm,omitempty"`
	SNIKey    string `json:"sni_key,omitempty"` // files of a TLS certificate for the key; "": none
	SNICert   string `json:"sni_crt,omitempty"`
	SNICA     string `json:"sni_ca,omitempty"`
	PID       int    `json:"pid,omitempty"` // of the sender, as the kernel says; 0: it does not
	UID       int    `json:"uid,omitempty"`
	GID       int    `json:"gid,omitempty"`
}

// Settings are how a table behaves.
type Settings struct {
	Algorithm Algorithm        // "": weighted round robin
	Tolerance time.Duration    // after which a silent node is dropped
	Grace     time.Duration    // for which a node that has failed is left alone
	DotSplit  bool             // "www.example.com" finds "example.com" too
	Fallback  string           // key that is used when there is none of the name; "": none
	Now       func() time.Time // the clock
}

// Change is what an announcement has changed.
type Change int

// Changes.
const (
	Nothing Change = iota // it was known
	NewNode
	NewPool // and with it a new node
	Altered // the node has other properties than before
)

// Table is all nodes by their keys. It may be used by several goroutines.
type Table struct {
	settings Settings

	mu     sync.Mutex
	pools  map[string]*pool // by key in lower case
	static *pool            // for every key, when nodes are given by configuration; nil: none
	count  int
}

// NewTable makes an empty one.
func NewTable(s Settings) *Table {
	if s.Algorithm == "" {
		s.Algorithm = WeightedRoundRobin
	}
	return &Table{settings: s, pools: map[string]*pool{}}
}

// SetStatic makes these the nodes for every key.
func (t *Table) SetStatic(addresses []string) {
	p := &pool{algorithm: WeightedRoundRobin}
	for _, address := range addresses {
		p.nodes = append(p.nodes, &Node{said: Announcement{Address: address}, pool: p})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.static = p
}

// Announce adds a node, or notes that it is there still.
func (t *Table) Announce(a Announcement) (Change, error) {
	if a.Key == "" || a.Address == "" {
		return Nothing, ErrNoKey
	}
	a.Weight = min(max(a.Weight, 0), maxWeight)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.settings.Now()
	name := strings.ToLower(a.Key)
	p := t.pools[name]
	if p != nil {
		if n := p.find(a.Address); n != nil {
			return n.renew(a, now), nil
		}
	}
	if t.count >= MaxNodes {
		return Nothing, ErrFull
	}
	change := NewNode
	if p == nil {
		p = &pool{key: a.Key, algorithm: t.settings.Algorithm}
		if slices.Contains(Algorithms, Algorithm(a.Algorithm)) {
			p.algorithm = Algorithm(a.Algorithm)
		}
		t.pools[name] = p
		change = NewPool
	}
	p.nodes = append(p.nodes, &Node{said: a, pool: p, seen: now, announced: true})
	t.count++
	return change, nil
}

func (p *pool) find(address string) *Node {
	for _, n := range p.nodes {
		if n.said.Address == address {
			return n
		}
	}
	return nil
}

// renew notes another announcement. A node that announces itself is tried again, whatever it was before.
func (n *Node) renew(a Announcement, now time.Time) Change {
	change := Nothing
	before, after := n.said, a
	before.Load, after.Load = 0, 0
	if before != after {
		change = Altered
	}
	n.said = a
	n.seen, n.failed, n.recent = now, time.Time{}, 0
	return change
}

// Withdraw removes a node, which gets no new requests from now on; false: there was none.
func (t *Table) Withdraw(key, address string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pools[strings.ToLower(key)]
	if p == nil {
		return false
	}
	n := p.find(address)
	if n == nil {
		return false
	}
	t.remove(n)
	return true
}

func (t *Table) remove(n *Node) {
	p := n.pool
	n.gone = true
	p.nodes = slices.DeleteFunc(p.nodes, func(other *Node) bool { return other == n })
	t.count--
	if len(p.nodes) == 0 {
		delete(t.pools, strings.ToLower(p.key))
	}
}

// Expire drops the nodes that have been silent for too long and returns them.
func (t *Table) Expire() (dropped []Announcement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := t.settings.Now().Add(-t.settings.Tolerance)
	for _, p := range t.pools {
		for _, n := range slices.Clone(p.nodes) {
			if n.seen.Before(limit) {
				t.remove(n)
				dropped = append(dropped, n.said)
			}
		}
	}
	return dropped
}

// Pick chooses a node for a request with this key, from this client, that is not among tried; nil: there is none.
// It counts as one that has the request in hand until Done. With it comes what it has said of itself.
func (t *Table) Pick(key, client string, tried []*Node) (*Node, Announcement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.find(key)
	if p == nil {
		return nil, Announcement{}
	}
	n := p.pick(t.settings.Now(), client, tried)
	if n == nil {
		return nil, Announcement{}
	}
	if len(tried) == 0 {
		p.hits++
	}
	n.requests++
	n.recent++
	n.inHand++
	return n, n.said
}

// find finds the pool of a key.
func (t *Table) find(key string) *pool {
	if t.static != nil {
		return t.static
	}
	name := strings.ToLower(key)
	if p := t.pools[name]; p != nil {
		return p
	}
	for t.settings.DotSplit {
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			break
		}
		name = name[dot+1:]
		if p := t.pools[name]; p != nil && name != "" {
			return p
		}
	}
	if t.settings.Fallback != "" {
		return t.pools[strings.ToLower(t.settings.Fallback)]
	}
	return nil
}

// Named is the announcement of a node for exactly this key that names a certificate; false: there is none.
func (t *Table) Named(key string) (Announcement, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.pools[strings.ToLower(key)]; p != nil {
		for _, n := range p.nodes {
			if n.said.SNIKey != "" && n.said.SNICert != "" {
				return n.said, true
			}
		}
	}
	return Announcement{}, false
}

// Done ends what Pick has begun, with the bytes that went to the node and came from it.
func (t *Table) Done(n *Node, received, sent uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.inHand--
	n.received += received
	n.sent += sent
}

// Reached notes that a node has answered: if it was left alone, it is not any longer.
func (t *Table) Reached(n *Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.failed, n.failures = time.Time{}, 0
}

// Failed notes that a node could not be reached: it is left alone for the grace time. news: it was not already;
// retries: how often it has failed in a row before.
func (t *Table) Failed(n *Node) (news bool, retries int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.settings.Now()
	retries = n.failures
	n.failures++
	news = !now.Before(n.failed) && !n.gone
	n.failed = now.Add(t.settings.Grace)
	return news, retries
}

// Empty tells whether no node is there for any key.
func (t *Table) Empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.pools) == 0 && t.static == nil
}

// Announced are all nodes that have announced themselves, for who comes after this process.
func (t *Table) Announced() (all []Announcement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.pools {
		for _, n := range p.nodes {
			all = append(all, n.said)
		}
	}
	slices.SortFunc(all, func(a, b Announcement) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Address, b.Address))
	})
	return all
}
