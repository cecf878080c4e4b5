// Package peers is the process that owns a service's ZeroMQ sockets, envoxyd-zmq: those on which
// it answers and those over which it asks other services. A peer's request becomes a request to
// whichever worker is idle first; workers ask through it. It outlives reloads.
package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
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

// closeTime is how long the requests in hand of an address that is given up may take.
const closeTime = 10 * time.Second

// peers is the state of the process.
type peers struct {
	*sidecar.Process
	loop *zmq.Loop
	note *shm.Note // where state is kept

	changes sync.Mutex // held during a change of what is bound
	mu      sync.Mutex
	state   *state
	servers map[string]*server
	clients map[string]*zmq.Client // by their settings
	known   json.RawMessage        // zmq_servers
	quiet   atomic.Bool            // nothing more is taken
}

// server is a bound address.
type server struct {
	*zmq.Server
	settings []byte
}

// Run is the process: it serves until the master says stop or is gone.
func Run(spec gatewayspec.Spec) error {
	p := &peers{Process: sidecar.New("envoxyd-zmq", spec), servers: map[string]*server{}, clients: map[string]*zmq.Client{}}
	var err error
	if p.note, err = shm.OpenNote(spec.StateFD); err != nil {
		return err
	}
	if p.loop, err = zmq.Open(func(format string, args ...any) { p.Errorf("[ZMQ] "+format, args...) }); err != nil {
		return err
	}
	p.state = loadState(p.note)
	p.Start()
	p.Running.Go(func() { p.AcceptCalls(p.serveCalls) })
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
	newer := generation < p.state.Active
	p.mu.Unlock()
	if r == nil || newer {
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
	for _, bind := range slices.Sorted(maps.Keys(wanted)) {
		if p.servers[bind] == nil && !p.quiet.Load() {
			p.bind(bind, wanted[bind])
		}
	}
}

func (p *peers) bind(bind string, boot *bootConf) {
	config, err := boot.server(bind)
	if err == nil {
		config.Answer, config.Begin = p.answer, p.begin
		var s *zmq.Server
		if s, err = p.loop.Bind(config); err == nil {
			p.Logf("[ZMQ] answering on %s%s", s.Address(), boot.security())
			p.servers[bind] = &server{s, boot.settings()}
			return
		}
	}
	p.Errorf("[ZMQ] boot.zmq.bind: %s: %v", bind, err)
}

// Quiesce answers what is here and takes no more.
func (p *peers) Quiesce(order gatewayspec.Order) {
	p.Running.Go(func() {
		p.closeServers(time.Duration(order.Millis) * time.Millisecond)
		_ = unix.Close(p.Spec.LivingFD) // a successor may bind, while workers still ask through this process
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
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, client := range p.clients {
		client.Close()
	}
}

// ask sends a request to another service, and returns its reply, both JSON.
func (p *peers) ask(ctx context.Context, c *call, request []byte) ([]byte, error) {
	key := fmt.Sprintf("%d %s", c.Most, c.Server)
	p.mu.Lock()
	client := p.clients[key]
	p.mu.Unlock()
	if client == nil {
		config, err := readPeer(c.Server)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errInvalid, err)
		}
		config.MaxConnections = c.Most
		p.mu.Lock()
		if client = p.clients[key]; client == nil {
			client = p.loop.Client(config)
			p.clients[key] = client
		}
		p.mu.Unlock()
	}
	return client.Do(ctx, request, c.Again)
}

// forgetClients closes the connections that are not in use when the servers are not what they were. A
// worker of the old configuration that still asks opens new ones.
func (p *peers) forgetClients(c *conf) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.Equal(c.Servers, p.known) {
		return
	}
	p.known = c.Servers
	for _, client := range p.clients {
		client.Close()
	}
	clear(p.clients)
}

// keepState is called with p.mu held.
func (p *peers) keepState() {
	text, err := json.Marshal(p.state)
	if err == nil {
		err = p.note.Write(text)
	}
	if err != nil {
		p.Errorf("[ZMQ] keeping what the service has registered: %v", err)
	}
}

// call is what a worker asks for: gatewayspec.FrameHead, this as JSON, the payload as it is.
type call struct {
	Op      string          `json:"op"`      // register, zmq
	Server  json.RawMessage `json:"server"`  // of zmq: its settings, as zmq_servers has them
	Most    int             `json:"most"`    // how many connections to it there may be
	Seconds float64         `json:"seconds"` // how long a reply is waited for
	Again   bool            `json:"again"`   // the request may be sent twice
}

var errInvalid = errors.New("zmq")

// serveCalls answers one worker's calls, one after the other, until it closes the stream.
func (p *peers) serveCalls(stream net.Conn) {
	for {
		head, payload, err := sidecar.ReadFrame(stream)
		if err != nil {
			return
		}
		var c call
		var result []byte
		if err = json.Unmarshal(head, &c); err != nil {
			err = fmt.Errorf("%w: %w", errInvalid, err)
		} else {
			result, err = p.carryOut(&c, payload)
		}
		answer := sidecar.Answer{OK: true}
		if err != nil {
			answer = sidecar.Refuse(kindOf(err), err)
		}
		if err := sidecar.WriteFrame(stream, &answer, result); err != nil {
			return
		}
	}
}

func (p *peers) carryOut(c *call, payload []byte) ([]byte, error) {
	switch c.Op {
	case "register":
		return nil, p.register(payload)
	case "zmq":
		ctx, cancel := context.WithTimeout(p.Ctx, time.Duration(c.Seconds*float64(time.Second)))
		defer cancel()
		return p.ask(ctx, c, payload)
	}
	return nil, fmt.Errorf("%w: no such call: %q", errInvalid, c.Op)
}

func kindOf(err error) string {
	switch {
	case errors.Is(err, errInvalid):
		return "invalid"
	case errors.Is(err, zmq.ErrTimeout):
		return "timeout"
	}
	return "lost"
}
