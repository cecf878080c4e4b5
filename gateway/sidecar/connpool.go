package sidecar

import (
	"context"
	"slices"
	"sync"
	"time"

	"envoxyd/internal/gatewayspec"
)

// connPool holds the connections that workers keep, and lets no more requests be in flight
// than there are cores: a core keeps one connection at most, so while all are in use every core is busy.
type connPool struct {
	limit    int
	running  *sync.WaitGroup // of goroutines that wait for the end of a request
	onClosed func()          // called after close, when no request is in flight

	lock    sync.Mutex
	inUse   int // requests in flight
	closed  bool
	idle    []*link
	waiting []*waiter
}

// place is a request's: with a connection, or without one yet; or the pool was closed.
type place struct {
	l      *link
	closed bool
}

// waiter is somebody who waits until another request may be in flight. It is told once, with the pool locked.
type waiter struct{ tell func(place) }

// take waits until another request may be in flight, and returns the connection that was used
// last, since its core is most likely awake; nil: one is to be opened. release or put ends
// what take began. ErrNotHanded after close.
func (p *connPool) take(ctx context.Context) (*link, error) {
	given := make(chan place, 1)
	got, w := p.request(func(later place) { given <- later })
	if w == nil {
		return got.result()
	}
	select {
	case got := <-given:
		return got.result()
	case <-ctx.Done():
	}
	p.forget(w)
	select {
	case got := <-given: // it came at the same time
		if !got.closed {
			p.put(got.l)
		}
	default:
	}
	return nil, ctx.Err()
}

func (got place) result() (*link, error) {
	if got.closed {
		return nil, ErrNotHanded
	}
	return got.l, nil
}

// request is take for those who do not wait: they have a place at once, or are waiters and told of it later.
func (p *connPool) request(tell func(place)) (place, *waiter) {
	p.lock.Lock()
	defer p.lock.Unlock()
	switch last := len(p.idle) - 1; {
	case p.closed:
		return place{closed: true}, nil
	case last >= 0:
		p.inUse++
		l := p.idle[last]
		p.idle = p.idle[:last]
		return place{l: l}, nil
	case p.inUse < p.limit:
		p.inUse++
		return place{}, nil
	}
	w := &waiter{tell}
	p.waiting = append(p.waiting, w)
	return place{}, w
}

// forget takes a waiter out of those that wait.
func (p *connPool) forget(w *waiter) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if i := slices.Index(p.waiting, w); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
}

// put ends a request. The connection, if there is one, is used again.
func (p *connPool) put(l *link) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if len(p.waiting) > 0 {
		p.waiting[0].tell(place{l: l})
		p.waiting = slices.Delete(p.waiting, 0, 1)
		return
	}
	p.inUse--
	if p.closed {
		if l != nil {
			l.close()
		}
		p.notifyClosed()
		return
	}
	if l != nil {
		p.idle = append(p.idle, l)
	}
}

func (p *connPool) notifyClosed() {
	if p.closed && p.inUse == 0 {
		p.onClosed()
	}
}

// release ends a request that was answered or has failed: at once if the worker says that it
// keeps the connection, otherwise when the worker has finished with the request.
func (p *connPool) release(ctx context.Context, l *link, err error) {
	switch {
	case err != nil || l.expired:
		l.close()
		p.put(nil)
	case l.in.Buffered() > 0: // mostly, its mark has come with the answer
		p.keep(l)
	default:
		p.running.Go(func() { // ends with the request, the context, or after requestTail
			err := l.during(ctx, func() error {
				_ = l.file().SetReadDeadline(time.Now().Add(requestTail)) // an error shows in the read
				if ctx.Err() != nil {
					return ctx.Err()
				}
				_, err := l.in.Peek(1)
				return err
			})
			if err != nil || l.expired {
				l.close()
				p.put(nil)
				return
			}
			_ = l.file().SetReadDeadline(time.Time{})
			p.keep(l)
		})
	}
}

// requestTail is how long a worker may be busy with a request that it has answered.
const requestTail = 10 * time.Second

// keep puts the connection back if the worker said that it keeps it.
func (p *connPool) keep(l *link) {
	if mark, err := l.in.ReadByte(); err != nil || mark != gatewayspec.Link || l.in.Buffered() > 0 {
		l.close()
		l = nil
	}
	p.put(l)
}

// close closes the connections that are not in use; those that wait get ErrNotHanded. It is called once.
func (p *connPool) close() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.closed = true
	for _, l := range p.idle {
		l.close()
	}
	p.idle = nil
	for _, one := range p.waiting {
		one.tell(place{closed: true})
	}
	p.waiting = nil
	p.notifyClosed()
}

// Limit is how many requests may be in flight.
func (p *connPool) Limit() int { return p.limit }
