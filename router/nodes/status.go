package nodes

import (
	"slices"
	"strings"
)

// PoolStatus is a pool in the statistics. The names of the fields are uWSGI's.
type PoolStatus struct {
	Key   string       `json:"key"`
	Hash  uint32       `json:"hash"`
	Hits  uint64       `json:"hits"`
	SNI   int          `json:"sni_enabled"`
	Nodes []NodeStatus `json:"nodes"`
}

// NodeStatus is a node that has announced itself.
type NodeStatus struct {
	Name      string `json:"name"`
	Modifier1 byte   `json:"modifier1"`
	Modifier2 byte   `json:"modifier2"`
	LastCheck int64  `json:"last_check"` // seconds since 1970
	PID       int    `json:"pid"`
	UID       int    `json:"uid"`
	GID       int    `json:"gid"`
	Requests  uint64 `json:"requests"`
	Recent    uint64 `json:"last_requests"`
	TX        uint64 `json:"tx"`
	RX        uint64 `json:"rx"`
	Cores     int    `json:"cores"`
	Load      int    `json:"load"`
	Weight    int    `json:"weight"`
	Turn      int    `json:"wrr"`
	InHand    int    `json:"ref"`
	Failures  int    `json:"failcnt"`
	Failed    int    `json:"death_mark"` // 1: it is left alone
}

// StaticStatus is a node that the configuration names.
type StaticStatus struct {
	Name  string `json:"name"`
	Hits  uint64 `json:"hits"`
	Grace int64  `json:"grace"` // when it was found to be away, seconds since 1970; 0: it is not
}

// Status describes everything that there is.
func (t *Table) Status() (static []StaticStatus, pools []PoolStatus) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.settings.Now()
	if t.static != nil {
		for _, n := range t.static.nodes {
			s := StaticStatus{Name: n.said.Address, Hits: n.requests}
			if now.Before(n.failed) {
				s.Grace = n.failed.Add(-t.settings.Grace).Unix()
			}
			static = append(static, s)
		}
	}
	pools = []PoolStatus{}
	for _, p := range t.pools {
		status := PoolStatus{Key: p.key, Hash: Hash(p.key), Hits: p.hits}
		for _, n := range p.nodes {
			one := NodeStatus{Name: n.said.Address, Modifier1: n.said.Modifier1, Modifier2: n.said.Modifier2, LastCheck: n.seen.Unix(), PID: n.said.PID, UID: n.said.UID, GID: n.said.GID,
				Requests: n.requests, Recent: n.recent, TX: n.sent, RX: n.received, Cores: n.said.Cores, Load: n.said.Load, Weight: n.weight(), Turn: n.turn,
				InHand: n.inHand, Failures: n.failures}
			if now.Before(n.failed) {
				one.Failed = 1
			}
			status.Nodes = append(status.Nodes, one)
		}
		pools = append(pools, status)
	}
	slices.SortFunc(pools, func(a, b PoolStatus) int { return strings.Compare(a.Key, b.Key) })
	return static, pools
}

// hashSize is how many slots uWSGI's table of keys has; monitoring shows the slot's number.
const hashSize = 65535

// Hash is the number of a key's slot there.
func Hash(key string) uint32 {
	h := uint32(5381) // of the djb33x hash
	for i := range len(key) {
		h = h<<5 + h ^ uint32(key[i])
	}
	return h % hashSize
}
