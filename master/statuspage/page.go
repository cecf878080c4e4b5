// Package statuspage shows operators how the instance is doing: one HTML page without anything from outside, kept up to
// date by server-sent events.
//
// A Page is told the state once a second, and keeps ten minutes of numbers to plot. What costs more is done only while
// somebody looks, and once a second however many do.
package statuspage

import (
	"context"
	"os"
	"sync"
	"time"

	"envoxyd/master/stats"
)

// maxViewers is how many streams of events there are at most.
const maxViewers = 32

// Page is the status page of an instance.
type Page struct {
	ctx     context.Context // ends with the page
	end     context.CancelFunc
	host    string         // the machine's name
	streams sync.WaitGroup // that are open

	mu      sync.Mutex
	viewers int
	history history
	recent  recent
	latest  *frame
	first   chan struct{} // closed when there is a latest frame

	processors processors // what processes had used when a frame was written last; its own lock
}

// New makes a page that knows nothing yet.
func New() *Page {
	p := &Page{first: make(chan struct{})}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.host, _ = os.Hostname() // "": it has no name
	return p
}

// End ends all streams; none begins any more.
func (p *Page) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

// Close ends all streams and waits for them.
func (p *Page) Close() {
	p.End()
	p.streams.Wait()
}

// frame is what is shown for a second. It is written when the first viewer asks for it.
type frame struct {
	page     *Page
	number   int // of its point
	snapshot *stats.Snapshot
	now      time.Time
	minute   summary
	rates    map[int]float64 // requests a second, by the number of the worker
	next     chan struct{}   // closed when another frame is the latest

	once sync.Once
	text []byte
}

// Note has the page show the state from now on. It is to be called once a second, by one goroutine, with a snapshot that
// is the page's from then on.
func (p *Page) Note(s *stats.Snapshot, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := countedBy(s, now)
	p.history.add(newPoint(s, &p.recent.last, &counts))
	p.recent.add(counts, s)
	before := p.latest
	p.latest = &frame{
		page: p, number: p.history.noted - 1, snapshot: s, now: now,
		minute: p.recent.summary(), rates: p.recent.rates(s, now), next: make(chan struct{}),
	}
	if before == nil {
		close(p.first)
	} else {
		close(before.next)
	}
}

// enter lets a viewer in; false: there are too many, or the page ends. Who was let in has to call leave.
func (p *Page) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.viewers >= maxViewers || p.ctx.Err() != nil {
		return false
	}
	p.viewers++
	p.streams.Add(1)
	return true
}

func (p *Page) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.viewers--
	p.streams.Done()
}

// frame is the latest frame when one has come after this one (nil: any); nil when ctx has ended before.
func (p *Page) frame(ctx context.Context, after *frame) *frame {
	wait := p.first
	if after != nil {
		wait = after.next
	}
	select {
	case <-wait:
	case <-ctx.Done():
		return nil
	case <-p.ctx.Done():
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest
}
