// Package router is a router's process: it accepts the clients of its kind, keeps the nodes that announce themselves,
// and does what the master orders. What it does with a client is the business of the packages below.
package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/logtext"
	"envoxyd/internal/routerspec"
	"envoxyd/internal/shm"
	"envoxyd/internal/stream"
	"envoxyd/router/fastrouter"
	"envoxyd/router/httprouter"
	"envoxyd/router/nodes"
	"envoxyd/router/rawrouter"
	"envoxyd/router/relay"
)

const (
	sweepTime    = time.Second
	scarcePause  = 100 * time.Millisecond // when there are no descriptors left
	idleGrace    = 500 * time.Millisecond // for connections whose next request may be on its way, where a successor serves
	severalGC    = 400                    // what lives is small: a few megabytes more save a good part of the work
	maxOrderSize = 16 << 10

	coresPerThread = 4
)

// process is the router.
type process struct {
	spec     *routerspec.Spec
	up       *relay.Upstreams
	serve    func(c *relay.Client)
	secure   secure
	http     *httprouter.Router // takes connections that speak in the clear, in place of serve; nil: it is another kind
	heard    heard
	forward  forward
	sniTold  atomic.Bool
	active   atomic.Int64   // connections
	sessions sync.WaitGroup // of clients
	control  sync.Mutex     // of what is written to the master

	ctx       context.Context // until the process ends
	cancel    context.CancelFunc
	running   sync.WaitGroup // of everything but sessions
	listeners []*stream.Listener
	cheap     cheap
}

// Run is the process, to its end.
func Run(spec *routerspec.Spec) error {
	// The master says what is to be done.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTSTP)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(severalGC)
	}
	// Such a process passes bytes on: a second thread costs more in wake-ups than it brings. As in uWSGI, who needs more
	// starts more processes.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(runtime.NumCPU()/coresPerThread, 1))
	}
	p, err := newProcess(spec)
	if err != nil {
		return err
	}
	if err := p.listen(); err != nil {
		return err
	}
	p.tell(routerspec.Event{Kind: routerspec.Ready})
	successor, err := p.obey()
	p.drain(successor)
	return err
}

func newProcess(spec *routerspec.Spec) (*process, error) {
	p := &process{spec: spec}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.up = relay.New(spec.Kind, spec.Routing, p.logf)
	if spec.Routing.CacheFD > 0 {
		p.up.Lookup = p.lookUp
	}
	for _, text := range spec.Known {
		var a nodes.Announcement
		if json.Unmarshal(text, &a) == nil {
			_, _ = p.up.Table.Announce(a) // there was room for it before
		}
	}
	switch spec.Kind {
	case routerspec.KindHTTP:
		router, err := httprouter.New(p.up, spec)
		if err != nil {
			return nil, err
		}
		p.http, p.serve = router, router.Serve
		if err := router.Start(httprouter.Host{Ended: p.ended, Fault: p.fault}); err != nil {
			return nil, err
		}
	case routerspec.KindFast:
		router := fastrouter.New(p.up)
		p.serve = func(c *relay.Client) { router.Serve(c.Conn) }
	case routerspec.KindRaw:
		p.serve = rawrouter.New(p.up, rawrouter.Settings{XClient: spec.XClient}).Serve
	case routerspec.KindSSL:
		p.serve = rawrouter.New(p.up, rawrouter.Settings{ByHost: spec.ByHost}).Serve
	default:
		return nil, fmt.Errorf("there is no router %q", spec.Kind)
	}
	if err := p.openSecure(); err != nil {
		return nil, err
	}
	return p, p.readKeys()
}

// mostAddress is how long an address in a cache may be, bytes.
const mostAddress = 4096

// lookUp finds the address of a key in the cache.
func (p *process) lookUp(key string) string {
	value, _, err := shm.CacheValue(p.spec.Routing.CacheFD, key, mostAddress)
	if err != nil && !errors.Is(err, shm.ErrNoHead) && !p.spec.Routing.Quiet { // no head: nobody has stored anything yet
		p.logf("[uwsgi-%s] %v", p.spec.Kind, err)
	}
	return string(value)
}

// logf writes a line to the log. What others have chosen is made safe by the caller.
func (p *process) logf(format string, args ...any) {
	line := fmt.Appendf(nil, format, args...)
	_, _ = os.Stderr.Write(append(line, '\n')) // there is no better place to say that the log is gone
}

// listen begins to accept, to hear announcements and to answer with statistics.
func (p *process) listen() error {
	for i := range p.spec.Fronts {
		front := &p.spec.Fronts[i]
		l, err := stream.Listen(front.FD)
		if err != nil {
			return fmt.Errorf("%s: %w", front.Name, err)
		}
		p.listeners = append(p.listeners, l)
		p.running.Go(func() { p.accept(l, front) })
	}
	if err := p.forward.open(&p.spec.Routing); err != nil {
		return err
	}
	for i := range p.spec.Subscriptions {
		if err := p.hear(&p.spec.Subscriptions[i]); err != nil {
			return err
		}
	}
	if err := p.serveStats(); err != nil {
		return err
	}
	p.cheap.follow(p)
	p.running.Go(p.sweep)
	return nil
}

// accept serves the connections of a socket until the listener is closed.
func (p *process) accept(l *stream.Listener, front *routerspec.Socket) {
	for {
		p.cheap.wait(p.ctx)
		fd, peer, err := l.AcceptDescriptor()
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded): // cheap: there is no node any more
			continue
		case err != nil:
			p.logf("[uwsgi-%s] %s: %v", p.spec.Kind, front.Name, err)
			if stream.Scarce(err) {
				select {
				case <-time.After(scarcePause):
				case <-p.ctx.Done():
				}
			}
			continue
		}
		p.active.Add(1)
		p.sessions.Add(1)
		if p.http != nil && front.TLS == nil && !front.Redirect {
			p.http.Take(fd, front, peer)
			continue
		}
		conn, err := stream.New(fd)
		if err != nil {
			p.logf("[uwsgi-%s] %s: %v", p.spec.Kind, front.Name, err)
			p.ended()
			continue
		}
		go func() { // sessions waits for it
			defer p.ended()
			defer p.survive()
			if client := (&relay.Client{Conn: conn, Front: front, Peer: peer}); p.shakeHands(client) {
				p.serve(client)
			}
		}()
	}
}

// ended notes that a client's connection is over.
func (p *process) ended() {
	p.active.Add(-1)
	p.sessions.Done()
}

// survive keeps the fault of one connection from ending all others.
func (p *process) survive() {
	if fault := recover(); fault != nil {
		p.fault(fault)
	}
}

// fault says in the log that serving a connection has failed.
func (p *process) fault(fault any) {
	p.logf("[uwsgi-%s] a fault in serving a connection: %v\n%s", p.spec.Kind, logtext.Safe(fmt.Sprint(fault)), debug.Stack())
}

// sweep does what only the clock tells.
func (p *process) sweep() {
	ticker := time.NewTicker(sweepTime)
	defer ticker.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case now := <-ticker.C:
			p.expire()
			p.up.Sweep(now)
		}
	}
}

// obey carries out the master's orders until one is to stop, or the master has gone.
func (p *process) obey() (successor bool, err error) {
	if err := unix.SetNonblock(p.spec.ControlFD, true); err != nil {
		return false, fmt.Errorf("control: %w", err)
	}
	control := os.NewFile(uintptr(p.spec.ControlFD), "control")
	text := make([]byte, maxOrderSize)
	for {
		n, err := control.Read(text)
		if n == 0 || err != nil { // the master has gone: there is nobody to serve for
			return false, nil
		}
		var order routerspec.Order
		if json.Unmarshal(text[:n], &order) != nil {
			continue
		}
		switch order.Kind {
		case routerspec.Announce, routerspec.Withdraw:
			p.relayed(order)
		case routerspec.Stop:
			return order.Successor, nil
		}
	}
}

// tell tells the master.
func (p *process) tell(e routerspec.Event) {
	text, err := json.Marshal(e)
	if err != nil {
		return
	}
	p.control.Lock()
	defer p.control.Unlock()
	_ = unix.Sendmsg(p.spec.ControlFD, text, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) // EPIPE: the master has ended
}

// drain accepts nothing more and waits for what is in hand, for the mercy at most.
func (p *process) drain(successor bool) {
	p.cancel()
	p.cheap.follow(p)
	for _, l := range p.listeners {
		l.Close()
	}
	idle := time.Duration(0)
	if successor {
		idle = idleGrace
	}
	if p.http != nil {
		p.http.Drain(idle)
	}
	p.running.Wait()
	done := make(chan struct{})
	go func() { // ends with the process at the latest
		p.sessions.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(relay.Millis(p.spec.Routing.MercyMillis)):
	}
	if p.http != nil {
		p.http.Stop()
	}
	p.up.CloseKept()
}
