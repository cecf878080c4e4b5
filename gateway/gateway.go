// Package gateway is the process that owns a service's connections to brokers, so that
// workers own none; it has the timers and looks at connectors, too. (ZeroMQ is package peers.)
// Each message becomes a request to whichever worker is idle first; workers publish
// through it. It outlives reloads: its connections stay while the code changes.
package gateway

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"envoxyd/gateway/sidecar"
	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/shm"
)

// Gateway is the state of the process.
type Gateway struct {
	*sidecar.Process
	ctx     context.Context // the process's, as is running
	running *sync.WaitGroup

	mu    sync.Mutex // what the service has registered, and changes of the connections
	state *state
	note  *shm.Note // where state is kept
	conf  *conf
	quiet atomic.Bool // no more messages are taken

	earlyMu sync.Mutex
	early   []early
	applied int // the newest generation whose brokers are known; -1: none

	brokersMu     sync.Mutex
	brokers       map[string]*broker
	subscriptions atomic.Pointer[[]listened] // what messages are matched with

	health   *health
	timers   timers
	queue    *queue
	progress *shm.Progress

	keepAwake   *keepAwake
	counting    *counting
	lastDropLog atomic.Int64 // when it was last said that messages were dropped, unix seconds
	senders     int          // goroutines that hand messages to workers
}

// Run is the process: it serves until the master says stop or is gone.
func Run(spec gatewayspec.Spec) error {
	p := sidecar.New("envoxyd-gateway", spec)
	g := &Gateway{Process: p, ctx: p.Ctx, running: &p.Running, conf: &conf{}, brokers: map[string]*broker{}, queue: newQueue(), keepAwake: newKeepAwake(), applied: -1}
	g.subscriptions.Store(&[]listened{})
	var err error
	if g.note, err = shm.OpenNote(spec.StateFD); err != nil {
		return err
	}
	healthNote, err := shm.OpenNote(spec.HealthFD)
	if err != nil {
		return err
	}
	if g.progress, err = shm.OpenProgress(spec.ProgressFD); err != nil {
		return err
	}
	if g.counting, err = newCounting(spec.TalliesFD); err != nil {
		return err
	}
	g.state = loadState(g.note)
	g.state.Incarnation++
	g.keepState()
	g.health = newHealth(g, healthNote)
	g.Start()
	if runtime.GOMAXPROCS(0) > 1 { // it takes a processor of Go's for itself
		g.running.Go(func() { g.keepAwake.run(g.ctx) })
	}
	g.running.Go(func() { g.health.refresh(g.ctx) })
	g.running.Go(func() { g.AcceptCalls(g.serveCalls) })
	g.startSenders(spec.Cores)
	err = g.Serve(g)
	g.queue.close()
	g.End()
	return err
}

// startSenders has at least n goroutines hand messages to workers.
func (g *Gateway) startSenders(n int) {
	for n = min(max(n, 1), shm.ProgressSlots); g.senders < n; g.senders++ {
		slot := (g.state.Incarnation*64 + g.senders) % shm.ProgressSlots // not those of a predecessor's last deliveries
		g.running.Go(func() { g.work(g.ctx, slot) })
	}
}

// Prepare connects before the first workers exist, so that they find brokers there.
func (g *Gateway) Prepare(generation int) {
	if g.PredecessorGone() {
		g.mu.Lock()
		if r := g.state.Registrations[generation]; r != nil {
			g.apply(r, false)
		}
		g.mu.Unlock()
		g.running.Go(func() {
			g.awaitBrokers()
			g.Tell(gatewayspec.Prepared, generation)
		})
		return
	}
	g.Tell(gatewayspec.Prepared, generation)
}

// Activate connects what the generation has registered.
func (g *Gateway) Activate(order gatewayspec.Order) {
	g.startSenders(order.Cores)
	g.running.Go(func() { // connecting may take its time, and other orders may come
		select {
		case <-g.Free():
		case <-g.ctx.Done():
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.quiet.Load() || order.Generation < g.state.Active {
			return
		}
		again := g.state.Active >= 0 // a reload, not the first start
		g.state.activate(order.Generation)
		r := g.state.Registrations[order.Generation]
		if r == nil {
			r = &Registration{Generation: order.Generation}
			g.state.register(r)
		}
		g.apply(r, again)
		g.keepState()
		g.timers.reconfigure(g, r)
	})
}

func (g *Gateway) keepState() {
	if err := g.state.save(g.note); err != nil {
		g.errorf("%v", err)
	}
}

// Quiesce takes no more from brokers, and says when all that is here is done.
func (g *Gateway) Quiesce(order gatewayspec.Order) {
	g.running.Go(func() { g.quiesce(time.Duration(order.Millis) * time.Millisecond) })
}

func (g *Gateway) quiesce(timeout time.Duration) {
	g.quiet.Store(true)
	for _, b := range g.allBrokers() {
		b.quiesce()
	}
	g.timers.stop()
	if !g.queue.idle(timeout) {
		waiting, working := g.queue.counts()
		g.errorf("stopping with %d messages in handlers and %d not begun; those of QoS 1 and 2 stay with the broker, if it keeps the session", working, waiting)
	}
	g.queue.close() // what is left is not acknowledged
	g.Tell(gatewayspec.Quiet, 0)
}

// Stop leaves in good order. With a successor the brokers keep our sessions for it.
func (g *Gateway) Stop(successor bool) {
	g.quiet.Store(true)
	g.queue.close()
	g.timers.stop()
	g.leaveBrokers(successor)
	g.health.close()
}

// logf writes what is worth knowing.
func (g *Gateway) logf(format string, args ...any) { g.Logf(format, args...) }

// errorf writes what needs attention.
func (g *Gateway) errorf(format string, args ...any) { g.Errorf(format, args...) }

// tell writes a problem, or else what is worth knowing.
func (g *Gateway) tell(problem bool, format string, args ...any) {
	if problem {
		g.errorf(format, args...)
	} else {
		g.logf(format, args...)
	}
}
