// Package gateway is the process that owns a service's sockets to brokers and peers, so
// that workers own none: MQTT connections, ZeroMQ, timers, probes of connectors.
// Each message becomes a request to whichever worker is idle first; workers publish and
// ask through it. It outlives reloads: its connections stay while the code changes.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/scmrights"
	"envoxyd/internal/shm"
	"envoxyd/transports/zmq"
)

// Gateway is the state of the process.
type Gateway struct {
	spec    gatewayspec.Spec
	ctx     context.Context // until the gateway ends
	cancel  context.CancelFunc
	running sync.WaitGroup

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
	subscriptions atomic.Pointer[[]Subscription] // what messages are matched with

	peers    peers
	health   *health
	timers   timers
	queue    *queue
	progress *shm.Progress

	targetMu      sync.Mutex
	targetChanged sync.Cond
	target        *target

	log         *logger
	keepAwake   *keepAwake
	counters    counters
	lastDropLog atomic.Int64  // when it was last said that messages were dropped, unix seconds
	workers     int           // goroutines that hand messages to workers
	free        chan struct{} // closed when the gateway of the previous executable has gone
}

// Run is the process: it serves until the master says stop or is gone.
func Run(spec gatewayspec.Spec) error {
	g := &Gateway{
		spec: spec, conf: &conf{}, brokers: map[string]*broker{}, queue: newQueue(), log: newLogger(), keepAwake: newKeepAwake(), free: make(chan struct{}), applied: -1,
		peers: peers{clients: map[string]*zmq.Client{}, listeners: map[string]net.Listener{}},
	}
	g.targetChanged.L = &g.targetMu
	g.subscriptions.Store(&[]Subscription{})
	g.ctx, g.cancel = context.WithCancel(context.Background())
	defer g.cancel()
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTSTP) // the master says what is to be done
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
	g.state = loadState(g.note)
	g.state.Incarnation++
	g.keepState()
	g.health = newHealth(g, healthNote)
	g.peers.server = &zmq.Server{Answer: g.answerZMQ, Logf: func(format string, args ...any) { g.errorf("[ZMQ] "+format, args...) }}
	g.running.Go(g.awaitPredecessor)
	if runtime.GOMAXPROCS(0) > 1 { // it takes a processor of Go's for itself
		g.running.Go(func() { g.keepAwake.run(g.ctx) })
	}
	g.running.Go(func() { g.health.refresh(g.ctx) })
	g.running.Go(func() { g.acceptCalls(g.ctx, spec.CallsFD) })
	g.startSenders(spec.Cores)
	err = g.handleOrders()
	g.cancel()
	g.queue.close()
	g.targetChanged.Broadcast()
	g.running.Wait()
	return err
}

// awaitPredecessor lets connections be made once the previous executable's gateway has
// left: two clients of one name would throw each other out.
func (g *Gateway) awaitPredecessor() {
	defer close(g.free)
	if g.spec.PredecessorFD < 0 {
		return
	}
	if err := unix.SetNonblock(g.spec.PredecessorFD, true); err != nil {
		g.errorf("%v", err)
		return
	}
	pipe := os.NewFile(uintptr(g.spec.PredecessorFD), "predecessor")
	defer pipe.Close()
	stop := context.AfterFunc(g.ctx, func() { pipe.Close() })
	defer stop()
	var b [1]byte
	for {
		if n, err := pipe.Read(b[:]); n == 0 && err != nil {
			return
		}
	}
}

func (g *Gateway) predecessorGone() bool {
	select {
	case <-g.free:
		return true
	default:
		return false
	}
}

// startSenders has at least n goroutines hand messages to workers.
func (g *Gateway) startSenders(n int) {
	for n = min(max(n, 1), shm.ProgressSlots); g.workers < n; g.workers++ {
		slot := (g.state.Incarnation*64 + g.workers) % shm.ProgressSlots // not those of a predecessor's last deliveries
		g.running.Go(func() { g.work(g.ctx, slot) })
	}
}

// handleOrders carries out the master's orders until one is to stop, or the master is gone.
func (g *Gateway) handleOrders() error {
	if err := unix.SetNonblock(g.spec.ControlFD, true); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	file := os.NewFile(uintptr(g.spec.ControlFD), "control")
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	for {
		order, fd, err := receiveOrder(raw)
		if errors.Is(err, io.EOF) {
			g.stop(false)
			return nil
		}
		if err != nil {
			return fmt.Errorf("gateway: orders: %w", err)
		}
		switch order.Kind {
		case gatewayspec.Prepare:
			g.prepare(order.Generation)
		case gatewayspec.Activate:
			g.activate(order, fd)
		case gatewayspec.Quiesce:
			g.running.Go(func() { g.quiesce(time.Duration(order.Millis) * time.Millisecond) })
		case gatewayspec.Stop:
			g.stop(order.Successor)
			return nil
		}
	}
}

func receiveOrder(raw syscall.RawConn) (order gatewayspec.Order, fd int, err error) {
	text := make([]byte, 4096)
	n, fd, err := receive(raw, text)
	if err != nil {
		return order, -1, err
	}
	return order, fd, json.Unmarshal(text[:n], &order)
}

// receive waits for a message: its length in text, and the descriptor that came with it, -1
// without one. io.EOF when the other side has gone.
func receive(raw syscall.RawConn, text []byte) (n, fd int, err error) {
	var control [scmrights.Room]byte
	var size int
	readErr := raw.Read(func(socket uintptr) bool {
		n, size, _, _, err = unix.Recvmsg(int(socket), text, control[:], unix.MSG_CMSG_CLOEXEC)
		return !errors.Is(err, unix.EAGAIN)
	})
	if err = errors.Join(readErr, err); err != nil {
		return 0, -1, err
	}
	if n == 0 && size == 0 {
		return 0, -1, io.EOF
	}
	fd, err = scmrights.Descriptor(control[:size])
	if errors.Is(err, scmrights.ErrNone) {
		err = nil
	}
	return n, fd, err
}

func (g *Gateway) tell(kind string, generation int) {
	text, err := json.Marshal(gatewayspec.Event{Kind: kind, Generation: generation})
	if err == nil {
		_ = unix.Sendmsg(g.spec.ControlFD, text, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) // EPIPE: the master has ended
	}
}

// prepare connects before the first workers exist, so that they find brokers there.
func (g *Gateway) prepare(generation int) {
	if g.predecessorGone() {
		g.mu.Lock()
		if r := g.state.Registrations[generation]; r != nil {
			g.apply(r, false)
		}
		g.mu.Unlock()
		g.running.Go(func() {
			g.awaitBrokers()
			g.tell(gatewayspec.Prepared, generation)
		})
		return
	}
	g.tell(gatewayspec.Prepared, generation)
}

// activate has messages go to the generation's workers.
func (g *Gateway) activate(order gatewayspec.Order, handover int) {
	if handover < 0 {
		g.errorf("generation %d came without a socket", order.Generation)
		return
	}
	g.startSenders(order.Cores)
	g.targetMu.Lock()
	old := g.target
	g.target = newTarget(handover, order.Cores, &g.running)
	g.targetMu.Unlock()
	g.targetChanged.Broadcast()
	if old != nil {
		old.close()
	}
	g.running.Go(func() { // connecting may take its time, and other orders may come
		select {
		case <-g.free:
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

// awaitTarget returns the generation that messages go to, once there is one; nil: the gateway ends.
func (g *Gateway) awaitTarget(ctx context.Context) *target {
	g.targetMu.Lock()
	defer g.targetMu.Unlock()
	for g.target == nil && ctx.Err() == nil {
		g.targetChanged.Wait()
	}
	if ctx.Err() != nil {
		return nil
	}
	return g.target
}

func (g *Gateway) keepState() {
	if err := g.state.save(g.note); err != nil {
		g.errorf("%v", err)
	}
}

// quiesce takes no more from brokers and peers, and says when all that is here is done.
func (g *Gateway) quiesce(timeout time.Duration) {
	g.quiet.Store(true)
	for _, b := range g.allBrokers() {
		b.client.Quiesce()
	}
	g.timers.stop()
	var all sync.WaitGroup
	all.Go(func() { g.closeZMQ(timeout) })
	if !g.queue.idle(timeout) {
		waiting, working := g.queue.counts()
		g.errorf("stopping with %d messages in handlers and %d not begun; those of QoS 1 and 2 stay with the broker, if it keeps the session", working, waiting)
	}
	g.queue.close() // what is left is not acknowledged
	all.Wait()
	g.tell(gatewayspec.Quiet, 0)
}

// stop leaves in good order. With a successor the brokers keep our sessions for it.
func (g *Gateway) stop(successor bool) {
	g.quiet.Store(true)
	g.queue.close()
	g.timers.stop()
	var all sync.WaitGroup
	all.Go(func() { g.closeZMQ(0) })
	all.Go(func() { g.leaveBrokers(!successor) })
	all.Wait()
	g.health.close()
	g.peers.mu.Lock()
	for _, client := range g.peers.clients {
		client.Close()
	}
	g.peers.mu.Unlock()
}
