// Package peers is the process that owns a service's ZeroMQ sockets, envoxyd-zmq: those on which
// it answers and those over which it asks other services. A peer's request becomes a request to
// whichever worker is idle first; workers ask through it. It outlives reloads.
package peers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/gateway/sidecar"
	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/shm"
	"envoxyd/transports/zmq"
)

const (
	closeTime = 3 * time.Second // for the requests in hand of an address that is given up
	bindPause = time.Second     // before an address that could not be bound is tried again
)

// peers is the state of the process.
type peers struct {
	*sidecar.Process
	loop  *zmq.Loop
	note  *shm.Note // where state is kept
	leave sync.Once // that the addresses are free is told to a successor

	mu    sync.Mutex
	state *state

	changes sync.Mutex // held during a change of what is bound, which may take its time
	servers map[string]*server
	failed  map[string]string // why an address is not bound
	trying  bool              // it will be tried again
	known   json.RawMessage   // zmq_servers as it was last
	quiet   atomic.Bool       // nothing more is taken

	clients map[string]*zmq.Client // by their settings; the loop's
}

// server is a bound address.
type server struct {
	*zmq.Server
	settings []byte
}

// Run is the process: it serves until the master says stop or is gone.
func Run(spec gatewayspec.Spec) error {
	p := &peers{Process: sidecar.New("envoxyd-zmq", spec), servers: map[string]*server{}, failed: map[string]string{}, clients: map[string]*zmq.Client{}}
	var err error
	if p.note, err = shm.OpenNote(spec.StateFD); err != nil {
		return err
	}
	if p.loop, err = zmq.Open(func(format string, args ...any) { p.Errorf("[ZMQ] "+format, args...) }); err != nil {
		return err
	}
	p.state = loadState(p.note)
	p.Start()
	p.Running.Go(func() { p.AcceptStreams(p.serveCalls) })
	err = p.Serve(p)
	p.End()
	p.loop.Close()
	return err
}

// register notes what a generation says of itself. What it binds follows Prepare or Activate.
func (p *peers) register(payload []byte) error {
	r := &Registration{}
	if err := json.Unmarshal(payload, r); err != nil {
		return fmt.Errorf("%w: registration: %w", errInvalid, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Generation < p.state.Active {
		return nil // of workers that are leaving
	}
	p.state.register(r)
	p.keepState()
	if r.Generation == p.state.Active {
		p.applyLater(r.Generation)
	}
	return nil
}

// Prepare binds before the first workers exist; what is asked meanwhile waits for them.
func (p *peers) Prepare(generation int) {
	if !p.PredecessorGone() {
		p.Tell(gatewayspec.Prepared, generation)
		return
	}
	p.Running.Go(func() {
		p.apply(generation)
		p.Tell(gatewayspec.Prepared, generation)
	})
}

// Activate binds what the generation has registered, and gives up what it has not.
func (p *peers) Activate(order gatewayspec.Order) { p.applyLater(order.Generation) }

// applyLater applies a registration when the predecessor has left its addresses.
func (p *peers) applyLater(generation int) {
	p.Running.Go(func() {
		select {
		case <-p.Free():
		case <-p.Ctx.Done():
			return
		}
		p.mu.Lock()
		stale := generation < p.state.Active
		if !stale {
			p.state.activate(generation)
			if p.state.Registrations[generation] == nil { // it has nothing to do with ZeroMQ
				p.state.register(&Registration{Generation: generation})
			}
			p.keepState()
		}
		p.mu.Unlock()
		if !stale {
			p.apply(generation)
		}
	})
}

// apply binds and unbinds as the generation's configuration has it.
func (p *peers) apply(generation int) {
	p.changes.Lock()
	defer p.changes.Unlock()
	p.mu.Lock()
	r := p.state.Registrations[generation]
	current := r != nil && generation >= p.state.Active
	p.mu.Unlock()
	if !current {
		return
	}
	c, err := readConf(r.Conf)
	if err != nil {
		p.Errorf("[ZMQ] %v", err)
	}
	p.Log.Reconfigure(c.level(), r.Service)
	p.forgetClients(c)
	wanted := map[string]*bootConf{}
	for _, boot := range c.Boot {
		for _, bind := range boot.ZMQ.Bind {
			wanted[bind] = &boot.ZMQ
		}
	}
	if !r.ZMQ && len(wanted) > 0 {
		p.Logf("[ZMQ] boot.zmq.bind is there, but no view has protocols=['zmq']: nothing is bound")
		clear(wanted)
	}
	var ended sync.WaitGroup
	for bind, s := range p.servers {
		if boot := wanted[bind]; boot == nil || !bytes.Equal(boot.settings(), s.settings) {
			delete(p.servers, bind)
			ended.Go(func() { s.Close(closeTime) })
		}
	}
	ended.Wait()
	again := false
	for _, bind := range slices.Sorted(maps.Keys(wanted)) {
		if p.servers[bind] == nil && !p.quiet.Load() {
			again = !p.bind(bind, wanted[bind]) || again
		}
	}
	if again && !p.trying { // whoever has the address may leave it
		p.trying = true
		p.Running.Go(func() { p.tryAgain(generation) })
	}
}

func (p *peers) tryAgain(generation int) {
	select {
	case <-time.After(bindPause):
	case <-p.Ctx.Done():
		return
	}
	p.changes.Lock()
	p.trying = false
	p.changes.Unlock()
	p.apply(max(generation, p.active()))
}

// active is the generation that serves.
func (p *peers) active() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.Active
}

// bind answers on an address from now on; false: it cannot be bound. The log has each reason once.
func (p *peers) bind(bind string, boot *bootConf) bool {
	config, err := boot.server(bind)
	if err == nil {
		config.Answer, config.Begin = p.answer, p.begin
		var s *zmq.Server
		if s, err = p.loop.Bind(config); err == nil {
			p.Logf("[ZMQ] answering on %s%s", s.Address(), boot.security())
			p.servers[bind] = &server{s, boot.settings()}
			delete(p.failed, bind)
			return true
		}
	}
	if p.failed[bind] != err.Error() {
		p.failed[bind] = err.Error()
		p.Errorf("[ZMQ] boot.zmq.bind: %v", err)
	}
	return false
}

// Quiesce answers what is here and takes no more.
func (p *peers) Quiesce(order gatewayspec.Order) {
	p.Running.Go(func() {
		p.closeServers(time.Duration(order.Millis) * time.Millisecond)
		p.leave.Do(func() { _ = unix.Close(p.Spec.LivingFD) }) // a successor may bind, while workers still ask through this process
		p.Tell(gatewayspec.Quiet, 0)
	})
}

func (p *peers) closeServers(timeout time.Duration) {
	p.quiet.Store(true)
	p.changes.Lock()
	defer p.changes.Unlock()
	var all sync.WaitGroup
	for _, s := range p.servers {
		all.Go(func() { s.Close(timeout) })
	}
	clear(p.servers)
	all.Wait()
}

// Stop leaves at once: what was in hand has been answered since Quiesce.
func (p *peers) Stop(bool) {
	p.closeServers(0)
	p.loop.Post(p.closeClients)
}

// forgetClients closes the connections that are not in use when the servers are not what they were. A
// worker of the old configuration that still asks opens new ones.
func (p *peers) forgetClients(c *conf) {
	if bytes.Equal(c.Servers, p.known) {
		return
	}
	p.known = c.Servers
	p.loop.Post(p.closeClients)
}

// closeClients is called on the loop.
func (p *peers) closeClients() {
	for _, client := range p.clients {
		client.Close()
	}
	clear(p.clients)
}

// keepState is called with p.mu held.
func (p *peers) keepState() {
	if err := p.note.WriteJSON(p.state); err != nil {
		p.Errorf("[ZMQ] keeping what the service has registered: %v", err)
	}
}
