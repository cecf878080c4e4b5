package master

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/respawn"
	"envoxyd/internal/shm"
	"envoxyd/master/privileges"
)

// How long the gateway is waited for.
const (
	prepareTime = 4 * time.Second // before the first workers start
	quiesceTime = 3 * time.Second // at a stop, for the messages that are here
	closeTime   = 8 * time.Second // for what is still to be published
)

// gatewayWord is the longest of a gateway's words, in bytes.
const gatewayWord = 4096

// gatewayBackoff is how fast a gateway that keeps dying is replaced.
var gatewayBackoff = respawn.Policy{Healthy: time.Minute, First: 50 * time.Millisecond, Max: 10 * time.Second}

// gatewayKind is what one gateway has that others have not.
type gatewayKind struct {
	program string // in the directory of the libraries
	title   string // in the log
	report  string // of workers and zygote, that they need it
	events  bool   // it has brokers and looks at connectors
}

var (
	eventGateway = gatewayKind{program: "envoxyd-gateway", title: "event gateway", report: "gateway", events: true}
	zmqGateway   = gatewayKind{program: "envoxyd-zmq", title: "ZeroMQ gateway", report: "zmq"}
)

// stateKey and livingKey are the names under which a master passes things of its gateway to the next executable's.
func (k *gatewayKind) stateKey() string  { return k.report + ":state" }
func (k *gatewayKind) livingKey() string { return k.report + ":living" }

func newGateway(m *master, kind *gatewayKind) *gateway {
	return &gateway{gatewayKind: kind, m: m, backoff: respawn.Backoff{Policy: gatewayBackoff}}
}

// gateway is a process that owns a service's connections to brokers, or to peers. It is started when
// the service first needs it, and stays through reloads.
type gateway struct {
	*gatewayKind
	m        *master
	shared   bool     // what follows is there
	callers  *os.File // where workers send streams for the gateway to serve
	calls    *os.File // where those come out
	state    *os.File // what the service has registered
	note     *os.File // with events: the state of connectors
	progress *os.File // with events: how much of each delivery is done

	healthNote *shm.Note // what note holds; nil: it was not read yet

	predecessor *os.File // reads end of file when the gateway before the upgrade has gone; nil: none
	living      *os.File // reads end of file when ours has gone

	wanted  bool
	cmd     *exec.Cmd
	control *os.File
	backoff respawn.Backoff
	started time.Time

	prepared func(*master) // what waits for the brokers
	quiet    func(*master) // what waits for the messages that are here
	stopping bool
}

// share makes what workers and gateway share, before any of them exist.
func (g *gateway) share() (err error) {
	if g.shared {
		return nil
	}
	if g.callers, g.calls, err = messagePair(g.title); err != nil {
		return err
	}
	if fd := g.m.upgrader.inherited.Take(g.livingKey()); fd >= 0 {
		g.predecessor = os.NewFile(uintptr(fd), "predecessor")
	}
	if g.state, err = shm.NewNoteFile(g.program); err != nil {
		return err
	}
	if !g.events {
		g.shared = true
		return nil
	}
	if fd := g.m.upgrader.inherited.Take(g.stateKey()); fd >= 0 {
		g.inheritNames(fd)
		_ = unix.Close(fd)
	}
	if g.note, err = shm.NewNoteFile("envoxyd-health"); err != nil {
		return err
	}
	g.progress, err = shm.NewProgressFile("envoxyd-progress")
	g.shared = err == nil
	return err
}

// inheritNames takes over the names that the previous executable's gateway has at brokers, and the shared subscriptions.
// That gateway still runs, and writes to its own note: here it is only read.
func (g *gateway) inheritNames(fd int) {
	before, err := shm.OpenNote(fd)
	if err != nil {
		return
	}
	defer before.Close()
	var state struct {
		Active     int             `json:"active"`
		ClientIDs  json.RawMessage `json:"client_ids"`
		Subscribed json.RawMessage `json:"subscribed,omitempty"`
	}
	if json.Unmarshal(before.Read(), &state) != nil || state.ClientIDs == nil {
		return
	}
	state.Active = -1
	text, err := json.Marshal(state)
	if err != nil {
		return
	}
	note, err := shm.OpenNote(int(g.state.Fd()))
	if err != nil {
		return
	}
	defer note.Close()
	_ = note.Write(text) // it is shorter than what it was read from
}

// require starts the gateway: the service has said that it needs it.
func (g *gateway) require() {
	if g.wanted || !g.shared || g.m.life.stopping || g.m.life.upgraded {
		return
	}
	g.wanted = true
	g.start()
}

func (g *gateway) start() {
	if g.cmd != nil || g.m.life.stopping || g.m.life.upgraded {
		return
	}
	g.started = g.m.sys.now()
	if err := g.spawn(); err != nil {
		logf("%s: %v", g.title, err)
		g.retry()
		return
	}
	if current := g.m.current; current != nil {
		g.activate(current)
	}
}

func (g *gateway) spawn() error {
	credential, err := privileges.Of(g.m.cfg).Credential()
	if err != nil {
		return err
	}
	ours, theirs, err := messagePair("control")
	if err != nil {
		return err
	}
	defer theirs.Close()
	started := false
	defer func() {
		if !started {
			ours.Close()
		}
	}()
	living, held, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer held.Close()
	var extra []*os.File // behind the specification
	pass := func(file *os.File) int {
		if file == nil {
			return -1
		}
		extra = append(extra, file)
		return firstFD + len(extra)
	}
	spec := gatewayspec.Spec{
		ControlFD: pass(theirs), CallsFD: pass(g.calls), StateFD: pass(g.state), HealthFD: pass(g.note), ProgressFD: pass(g.progress),
		TalliesFD: pass(g.m.tallies.file), LivingFD: pass(held), PredecessorFD: pass(g.predecessor), Cores: g.m.cfg.Processes * g.m.cfg.Cores(),
	}
	cmd, err := g.m.commands.startCompanion(g.program, spec, extra, appDir(g.m.hooks, g.m.cfg), credential)
	if err != nil {
		living.Close()
		return err
	}
	started = true
	if g.living != nil {
		g.living.Close()
	}
	g.cmd, g.control, g.living = cmd, ours, living
	logf("spawned %s (pid: %d)", g.title, cmd.Process.Pid)
	hear(g.control, gatewayWord, func(e gatewayspec.Event) { g.m.post(func(m *master) { g.handleEvent(m, e) }) })
	go func() { // ends with the process; a master that has finished does not wait for it
		err := g.m.commands.wait(cmd)
		g.m.post(func(*master) { g.ended(err) })
	}()
	return nil
}

func dupCloexec(fd int) int {
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1 // the start of the process fails with it
	}
	return copied
}

func (g *gateway) handleEvent(m *master, e gatewayspec.Event) {
	switch e.Kind {
	case gatewayspec.Prepared:
		g.proceed(&g.prepared)
	case gatewayspec.Quiet:
		g.proceed(&g.quiet)
	}
}

// proceed does what has waited for the gateway, once.
func (g *gateway) proceed(waiting *func(*master)) {
	if next := *waiting; next != nil {
		*waiting = nil
		next(g.m)
	}
}

// order sends one; false: there is no gateway.
func (g *gateway) order(o gatewayspec.Order, fds ...int) bool {
	if g.cmd == nil {
		return false
	}
	return tell(g.control, o, fds...)
}

// prepare has brokers connected before the first workers start, for a while at most.
func (g *gateway) prepare(generation int, then func(*master)) {
	if !g.order(gatewayspec.Order{Kind: gatewayspec.Prepare, Generation: generation}) {
		then(g.m)
		return
	}
	g.prepared = then
	g.m.after(prepareTime, func(*master) { g.proceed(&g.prepared) })
}

// activate has messages go to the generation's workers from now on.
func (g *gateway) activate(current *generation) {
	if current.handover < 0 {
		return
	}
	g.order(gatewayspec.Order{Kind: gatewayspec.Activate, Generation: current.number, Cores: current.cfg.Processes * current.cfg.Cores()}, current.handover)
}

// quiesce lets no more messages in and goes on when those that are here are done, or
// after a while.
func (g *gateway) quiesce(then func(*master)) {
	if !g.order(gatewayspec.Order{Kind: gatewayspec.Quiesce, Millis: int(quiesceTime / time.Millisecond)}) {
		then(g.m)
		return
	}
	g.quiet = then
	g.m.after(quiesceTime+time.Second, func(*master) { g.proceed(&g.quiet) })
}

// stop ends the gateway, once no worker is left that could publish.
func (g *gateway) stop() {
	if g.stopping || g.cmd == nil {
		return
	}
	g.stopping = true
	g.order(gatewayspec.Order{Kind: gatewayspec.Stop, Successor: g.m.life.upgraded})
	g.m.after(closeTime, func(*master) { g.kill() })
}

// kill ends a gateway that takes too long.
func (g *gateway) kill() {
	if g.cmd != nil && g.stopping {
		logf("the %s is taking too much time to die...NO MERCY !!!", g.title)
		_ = g.cmd.Process.Kill()
	}
}

func (g *gateway) ended(err error) {
	pid := g.cmd.Process.Pid
	g.cmd = nil
	g.control.Close()
	g.proceed(&g.prepared)
	g.proceed(&g.quiet)
	if g.stopping || g.m.life.stopping || g.m.life.upgraded {
		return
	}
	logf("DAMN ! %s (pid: %d) died (%v) :( trying respawn ...", g.title, pid, err)
	g.retry()
}

// retry starts the gateway again, after a pause that grows with each death in a row.
func (g *gateway) retry() {
	g.m.after(g.backoff.Ended(g.m.sys.now().Sub(g.started)), func(*master) { g.start() })
}

// gone: there is no process.
func (g *gateway) gone() bool { return g.cmd == nil }

// health is the state of connectors and events; nil: nobody has told of it yet.
func (g *gateway) health() *shm.Note {
	if g.healthNote == nil && g.note != nil {
		g.healthNote, _ = shm.OpenNote(int(g.note.Fd())) // or at the next time
	}
	return g.healthNote
}

// handedOver is what the next executable's gateway takes over.
func (g *gateway) handedOver() map[string]int {
	if g.living == nil {
		return nil
	}
	return map[string]int{g.stateKey(): int(g.state.Fd()), g.livingKey(): int(g.living.Fd())}
}
