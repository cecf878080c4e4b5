// Package relay has what every router does: it finds a node for a request and connects to it, tries another one when
// that cannot be reached, and passes bytes on in both directions.
package relay

import (
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"envoxyd/internal/logtext"
	"envoxyd/internal/routerspec"
	"envoxyd/internal/stream"
	"envoxyd/router/nodes"
)

// Errors of Attempt.Next.
var (
	ErrNoNode      = errors.New("there is no node for it")
	ErrUnreachable = errors.New("no node could be reached")
	ErrTooSlow     = errors.New("no node could be reached in time")
)

// Upstreams are the nodes of a router.
type Upstreams struct {
	Table *nodes.Table
	Kind  string // of the router, for the log
	Spec  routerspec.Routing
	Logf  func(format string, args ...any)

	// Lookup finds the address of a key, where addresses are in a cache; "": there is none. Nil: they are not.
	Lookup func(key string) string

	next    atomic.Uint32 // of the fallback addresses
	kept    kept
	keeping keeping
}

// New makes the nodes of a router that the specification names.
func New(kind string, spec routerspec.Routing, logf func(format string, args ...any)) *Upstreams {
	u := &Upstreams{Kind: kind, Spec: spec, Logf: logf}
	u.Table = nodes.NewTable(nodes.Settings{Algorithm: nodes.Algorithm(spec.Algorithm), Tolerance: Millis(spec.ToleranceMillis),
		Grace: Millis(spec.GraceMillis), DotSplit: spec.DotSplit, Fallback: spec.FallbackKey, Now: time.Now})
	if len(spec.To) > 0 {
		u.Table.SetStatic(spec.To)
	}
	return u
}

// Millis is a number of milliseconds as a duration.
func Millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// Timeout bounds each wait for a client or a node.
func (u *Upstreams) Timeout() time.Duration { return Millis(u.Spec.TimeoutMillis) }

// Upstream is a connection to a node for one request.
type Upstream struct {
	*stream.Conn
	nodes.Announcement // of the node; of others only the address

	Reused   bool   // it has served requests before
	Received uint64 // bytes sent to the node
	Sent     uint64 // bytes that came from it

	all     *Upstreams
	node    *nodes.Node // nil: it is not in the table
	fresh   bool        // it serves one request
	greeted bool        // it began with a greeting
	greets  int         // bytes of the answer to that which are still to come
	stands  bool        // it is a fallback
}

// Attempt is the search for a node for one request.
type Attempt struct {
	all         *Upstreams
	key, client string
	tried       []*nodes.Node
	fallbacks   int // that were tried
	count       int
	slow        bool // a node did not answer in time
	derived     bool // the address that is made of the key was tried
	fresh       bool // a kept connection was of no use
}

// Attempt begins the search for a request with this key from this client.
func (u *Upstreams) Attempt(key, client string) *Attempt {
	if u.Spec.ForceKey != "" {
		key = u.Spec.ForceKey
	}
	return &Attempt{all: u, key: key, client: client}
}

// Next connects to a node that was not tried yet. fresh: a connection that has been used before does not do. The
// errors are those above.
func (a *Attempt) Next(fresh bool) (*Upstream, error) {
	for {
		up := a.Choose(fresh)
		if up == nil {
			break
		}
		if !up.fresh {
			if up.Conn = a.all.kept.take(up.Address); up.Conn != nil {
				up.Reused = true
				return up, nil
			}
		}
		if a.Connect(up) {
			return up, nil
		}
	}
	switch {
	case a.count == 0:
		return nil, ErrNoNode
	case a.slow:
		return nil, ErrTooSlow
	}
	return nil, ErrUnreachable
}

// Choose names a node that was not tried yet, for the caller to connect to; nil: there is none. It ends with
// Upstream.Close, Keep or Finish.
func (a *Attempt) Choose(fresh bool) *Upstream {
	if a.count > a.all.Spec.MaxRetries {
		return nil
	}
	fallbacks := a.fallbacks
	node, said, there := a.choose()
	if !there {
		return nil
	}
	a.count++
	return &Upstream{Announcement: said, all: a.all, node: node, fresh: fresh || a.fresh, stands: a.fallbacks > fallbacks}
}

// Connect connects to a node that was chosen. False: it is noted as one that could not be reached.
func (a *Attempt) Connect(up *Upstream) bool {
	conn, err := stream.Dial(up.Address, Millis(a.all.Spec.ConnectMillis))
	if err == nil {
		up.Conn = conn
		return true
	}
	a.NotConnected(up, err)
	return false
}

// NotConnected notes that there is no connection to a node that was chosen.
func (a *Attempt) NotConnected(up *Upstream, err error) {
	a.slow = errors.Is(err, os.ErrDeadlineExceeded)
	a.Failed(up, err)
	up.Finish()
}

// choose names the next node. What the configuration names first is asked alone, as in uWSGI: a cache, a pattern, then
// subscriptions and the nodes that are given, then a directory. After a failure come the fallbacks.
func (a *Attempt) choose() (node *nodes.Node, said nodes.Announcement, there bool) {
	spec := &a.all.Spec
	if spec.Pattern != "" || spec.Base != "" || a.all.Lookup != nil {
		if address := a.deriveAddress(); address != "" && !a.derived {
			a.derived = true
			return nil, nodes.Announcement{Address: address}, true
		}
	} else if node, said = a.all.Table.Pick(a.key, a.client, a.tried); node != nil {
		a.tried = append(a.tried, node)
		return node, said, true
	}
	if a.count == 0 && !spec.FallbackOnNoKey || a.fallbacks >= len(spec.Fallback) {
		return nil, said, false
	}
	a.fallbacks++
	n := int(a.all.next.Add(1)-1) % len(spec.Fallback)
	return nil, nodes.Announcement{Address: spec.Fallback[n]}, true
}

// deriveAddress makes an address of the key; "": it cannot be one. A key is a client's word: it names no other
// directory.
func (a *Attempt) deriveAddress() string {
	if a.all.Lookup != nil {
		return a.all.Lookup(a.key)
	}
	if a.key == "" || a.key[0] == '.' || strings.ContainsAny(a.key, "/\x00") {
		return ""
	}
	if a.all.Spec.Pattern != "" {
		return strings.Replace(a.all.Spec.Pattern, "%s", a.key, 1)
	}
	return strings.TrimSuffix(a.all.Spec.Base, "/") + "/" + a.key
}

// Failed notes that a node could not be reached, or broke the connection before it answered, and says so in the log.
func (a *Attempt) Failed(up *Upstream, err error) {
	news, retries := true, a.count-1
	a.all.keeping.forget(up.Address)
	if up.node != nil {
		news, retries = a.all.Table.Failed(up.node)
	}
	if a.all.Spec.Quiet {
		return
	}
	a.all.Logf("[uwsgi-%s] unable to connect() to node \"%s\" (%d retries): %s", a.all.Kind, logtext.Safe(up.Address), retries, reason(err))
	if news && up.node != nil {
		a.all.Logf("[uwsgi-%s] %s => marking %s as failed", a.all.Kind, logtext.Safe(a.key), logtext.Safe(up.Address))
	}
}

// Again has the same node tried again, with a connection for one request: one that was kept, or was to be, has ended.
func (a *Attempt) Again(up *Upstream) {
	a.fresh = true
	a.count--
	a.derived = false
	if up.stands {
		a.fallbacks--
	}
	if up.node != nil {
		a.tried = a.tried[:len(a.tried)-1]
	}
}

// Broken says in the log that a node has broken the connection, and that another one is asked.
func (a *Attempt) Broken(up *Upstream, err error) {
	if !a.all.Spec.Quiet {
		a.all.Logf("[uwsgi-%s] %s: node %s broke the connection before it answered: %v", a.all.Kind, logtext.Safe(a.key), logtext.Safe(up.Address), err)
	}
}

// reason is what is behind an error of Dial.
func reason(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "timeout"
	}
	text := err.Error()
	return strings.TrimPrefix(text, stream.ErrRefused.Error()+": ")
}

// Key is what the request is routed by.
func (a *Attempt) Key() string { return a.key }

// Answered notes that the node serves.
func (up *Upstream) Answered() {
	if up.node != nil && !up.Reused {
		up.all.Table.Reached(up.node)
	}
}

// Close ends the use of the connection, and the connection.
func (up *Upstream) Close() {
	if up.Conn != nil {
		_ = up.Conn.Close()
	}
	up.Finish()
}

// Keep ends the use of the connection, and leaves it for another request.
func (up *Upstream) Keep() {
	up.all.kept.put(up.Address, up.Conn)
	up.Finish()
}

// Finish ends the use of a connection that somebody else has in hand.
func (up *Upstream) Finish() {
	if up.node != nil {
		up.all.Table.Done(up.node, up.Received, up.Sent)
	}
}

// Speaks tells whether the node speaks that protocol, if the router speaks usual to those that say nothing.
func (up *Upstream) Speaks(protocol, usual string) bool {
	if slices.Contains([]string{"http", "uwsgi"}, up.Protocol) {
		return up.Protocol == protocol
	}
	return usual == protocol
}
