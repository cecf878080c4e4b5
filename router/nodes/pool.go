// Package nodes decides which of several servers gets a request: who is there under which key, who takes turns
// with whom, and who is left alone for a while because it could not be reached. It knows no sockets, and its clock
// is the caller's.
package nodes

import (
	"hash/fnv"
	"time"
)

// Algorithm is a way of sharing requests out (--subscription-algo).
type Algorithm string

// The algorithms.
const (
	WeightedRoundRobin Algorithm = "wrr"    // in turn, each as often as its weight says
	LeastReferences    Algorithm = "lrc"    // to the node with the fewest requests in hand
	WeightedReferences Algorithm = "wlrc"   // likewise, for its weight
	ClientHash         Algorithm = "iphash" // by the client's address
)

// Algorithms are all of them.
var Algorithms = []Algorithm{WeightedRoundRobin, LeastReferences, WeightedReferences, ClientHash}

// Node is one server. All of it belongs to the Table.
type Node struct {
	said Announcement

	pool      *pool
	seen      time.Time // the last announcement; of static nodes never
	failed    time.Time // until then it is left alone
	gone      bool      // it has left: requests in hand are finished
	turn      int       // of the smooth weighted round robin
	requests  uint64
	recent    uint64 // since the last announcement
	received  uint64 // bytes from the client to the node
	sent      uint64 // bytes from the node to the client
	inHand    int
	failures  int
	announced bool // by a subscription; else it is a static one
}

// pool is the nodes of a key.
type pool struct {
	key       string // as it was given
	nodes     []*Node
	algorithm Algorithm
	hits      uint64
}

// pick chooses a node that is not among tried; nil: there is none. Nodes that have failed come last: better a
// node that was away a moment ago than none at all.
func (p *pool) pick(now time.Time, client string, tried []*Node) *Node {
	var able []*Node
	level := -1
	var last *Node // of those that have failed, who is to be tried again first
	for _, n := range p.nodes {
		if contains(tried, n) {
			continue
		}
		if now.Before(n.failed) {
			if last == nil || n.failed.Before(last.failed) {
				last = n
			}
			continue
		}
		switch {
		case level < 0 || n.said.Backup < level:
			level = n.said.Backup
			able = append(able[:0], n)
		case n.said.Backup == level:
			able = append(able, n)
		}
	}
	if len(able) == 0 {
		return last
	}
	switch p.algorithm {
	case LeastReferences:
		return least(able, func(n *Node) float64 { return float64(n.inHand) })
	case WeightedReferences:
		return least(able, func(n *Node) float64 { return float64(n.inHand) / float64(n.weight()) })
	case ClientHash:
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(client)) // it never fails
		return able[int(sum.Sum32())%len(able)]
	}
	return takeTurns(able)
}

// takeTurns is a smooth weighted round robin: each gains its weight, the richest pays for all.
func takeTurns(able []*Node) *Node {
	var best *Node
	total := 0
	for _, n := range able {
		n.turn += n.weight()
		total += n.weight()
		if best == nil || n.turn > best.turn {
			best = n
		}
	}
	best.turn -= total
	return best
}

// least takes turns among those with the smallest value.
func least(able []*Node, of func(*Node) float64) *Node {
	smallest := of(able[0])
	for _, n := range able[1:] {
		smallest = min(smallest, of(n))
	}
	equal := able[:0]
	for _, n := range able {
		if of(n) == smallest {
			equal = append(equal, n)
		}
	}
	return takeTurns(equal)
}

func (n *Node) weight() int { return max(n.said.Weight, 1) }

func contains(list []*Node, n *Node) bool {
	for _, other := range list {
		if other == n {
			return true
		}
	}
	return false
}
