package relay

import (
	"sync"
	"time"

	"envoxyd/internal/stream"
)

// Connections that wait for their next use.
const (
	KeptTime = 3 * time.Second // servers of uWSGI's kind close an idle connection after four
	KeptMost = 64              // to one address
)

// kept are connections to nodes that serve more than one request on each, by address. Its zero value is ready.
type kept struct {
	mu  sync.Mutex
	all map[string][]keptConn
}

type keptConn struct {
	conn  *stream.Conn
	since time.Time
}

// take returns the connection that was used last, if there is one that can be used; nil: there is none.
func (k *kept) take(address string) *stream.Conn {
	for {
		k.mu.Lock()
		list := k.all[address]
		if len(list) == 0 {
			k.mu.Unlock()
			return nil
		}
		last := list[len(list)-1]
		k.all[address] = list[:len(list)-1]
		k.mu.Unlock()
		if time.Since(last.since) < KeptTime && last.conn.Idle() {
			return last.conn
		}
		_ = last.conn.Close()
	}
}

func (k *kept) put(address string, conn *stream.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = map[string][]keptConn{}
	}
	if len(k.all[address]) >= KeptMost {
		_ = conn.Close()
		return
	}
	k.all[address] = append(k.all[address], keptConn{conn, time.Now()})
}

// sweep closes those that have waited for too long; all: every one.
func (k *kept) sweep(now time.Time, all bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for address, list := range k.all {
		old := 0
		for old < len(list) && (all || now.Sub(list[old].since) >= KeptTime) {
			_ = list[old].conn.Close()
			old++
		}
		if old == len(list) {
			delete(k.all, address)
		} else {
			k.all[address] = list[old:]
		}
	}
}

// Sweep closes connections that have waited for too long. It is called now and then.
func (u *Upstreams) Sweep(now time.Time) { u.kept.sweep(now, false) }

// CloseKept closes all connections that wait for their next use.
func (u *Upstreams) CloseKept() {
	u.kept.sweep(time.Time{}, true)
	u.keeping.asking.Wait()
}
