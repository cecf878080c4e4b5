package master

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"envoxyd/internal/respawn"
	"envoxyd/internal/routerspec"
	"envoxyd/internal/tlsconfig"
	"envoxyd/internal/tlsspec"
	"envoxyd/uwsgiopts"
)

const (
	routerProgram = "envoxyd-router"
	routersKey    = "routers:known"        // under which a master passes the nodes of its routers on to the next executable's
	routerExtra   = 2 * time.Second        // that a router gets to end beyond the mercy of its requests
	routerWord    = 128 << 10              // the longest of its words, bytes
	leaveTime     = 100 * time.Millisecond // for routers to hear that this instance leaves, before it stops accepting
)

// routerBackoff is how fast a router that keeps dying is replaced.
var routerBackoff = respawn.Policy{Healthy: time.Second, Free: 2, First: 50 * time.Millisecond, Max: 5 * time.Second}

// routers are the processes that pass requests on to other servers. They outlive the generations of workers.
type routers struct {
	m        *master
	all      []*router
	known    map[string]map[[2]string]json.RawMessage // announcements of nodes: by kind, by key and address
	stopped  func(*master)                            // what waits for their end
	stopping bool
}

// router is one process.
type router struct {
	*routerPlan
	number   int
	cmd      *exec.Cmd
	control  *os.File
	started  time.Time
	backoff  respawn.Backoff
	leaving  bool // it accepts nothing more; who comes in its place is another router
	ready    bool
	replaces []*router // that leave when it is ready
}

func newRouters(m *master) *routers {
	return &routers{m: m, known: map[string]map[[2]string]json.RawMessage{}}
}

// inherit takes over what the previous master's routers knew.
func (r *routers) inherit() {
	fd := r.m.upgrader.inherited.Take(routersKey)
	if fd < 0 {
		return
	}
	file := os.NewFile(uintptr(fd), "nodes")
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 64<<20))
	var known map[string][]json.RawMessage
	if err != nil || json.Unmarshal(text, &known) != nil {
		return
	}
	for kind, list := range known {
		for _, node := range list {
			r.note(kind, routerspec.Announce, node)
		}
	}
}

// handedOver is what the next executable's routers take over.
func (r *routers) handedOver() map[string]int {
	if len(r.known) == 0 {
		return nil
	}
	known := map[string][]json.RawMessage{}
	for kind := range r.known {
		known[kind] = r.nodes(kind)
	}
	text, err := json.Marshal(known)
	if err != nil {
		return nil
	}
	file, err := memoryFile("envoxyd-routers", text)
	if err != nil {
		logf("routers: %v", err)
		return nil
	}
	defer file.Close()
	return map[string]int{routersKey: dupCloexec(int(file.Fd()))}
}

// note keeps what a router has heard; news: it was not known.
func (r *routers) note(kind, word string, node json.RawMessage) (news bool) {
	var a struct{ Key, Address string }
	if json.Unmarshal(node, &a) != nil {
		return false
	}
	name := [2]string{a.Key, a.Address}
	if r.known[kind] == nil {
		r.known[kind] = map[[2]string]json.RawMessage{}
	}
	_, there := r.known[kind][name]
	if word == routerspec.Withdraw {
		delete(r.known[kind], name)
		return there
	}
	r.known[kind][name] = node
	return !there
}

// nodes are the announcements of a kind.
func (r *routers) nodes(kind string) (list []json.RawMessage) {
	for _, node := range r.known[kind] {
		list = append(list, node)
	}
	return list
}

// follow has the routers be those of a generation. One whose plan has not changed goes on.
func (r *routers) follow(g *generation) {
	if r.m.life.stopping || r.m.life.upgraded {
		return
	}
	plans, err := routerPlans(g)
	if err != nil {
		logf("routers: %v", err)
		return
	}
	old := slices.DeleteFunc(slices.Clone(r.all), func(one *router) bool { return one.leaving })
	for _, plan := range plans {
		same := slices.ContainsFunc(old, func(one *router) bool { return one.routerPlan.equal(plan) })
		if same {
			old = slices.DeleteFunc(old, func(one *router) bool { return one.routerPlan.equal(plan) })
			continue
		}
		replaced := slices.DeleteFunc(slices.Clone(old), func(one *router) bool { return one.spec.Kind != plan.spec.Kind })
		old = slices.DeleteFunc(old, func(one *router) bool { return one.spec.Kind == plan.spec.Kind })
		for number := 1; number <= plan.count; number++ {
			one := &router{routerPlan: plan, number: number, backoff: respawn.Backoff{Policy: routerBackoff}}
			if number == plan.count {
				one.replaces = replaced
			}
			r.all = append(r.all, one)
			r.start(one)
		}
	}
	for _, one := range old { // of kinds that there are no longer
		r.dismiss(one, false)
	}
}

// start starts a router's process.
func (r *routers) start(one *router) {
	if one.cmd != nil || one.leaving || r.stopping || r.m.life.upgraded {
		return
	}
	one.started = r.m.sys.now()
	if err := r.spawn(one); err != nil {
		logf("uWSGI %s %d: %v", one.spec.Kind, one.number, err)
		r.retry(one)
	}
}

func (r *routers) spawn(one *router) error {
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
	spec := one.spec
	spec.Number, spec.Known = one.number, r.nodes(one.spec.Kind)
	extra := []*os.File{theirs}
	pass := func(file *os.File) int {
		extra = append(extra, file)
		return firstFD + len(extra)
	}
	spec.ControlFD = firstFD + 1
	spec.VaultFD = -1
	if slices.ContainsFunc(one.tls, func(t *tlsspec.Socket) bool { return t != nil }) {
		vault, err := r.m.owned.kept.Memory(vaultMemory, tlsconfig.NewVaultFile)
		if err != nil {
			return err
		}
		spec.VaultFD = pass(vault)
	}
	if one.cache != nil {
		spec.Routing.CacheFD = pass(one.cache)
	}
	for i, s := range one.sockets {
		copied := dupCloexec(s.FD)
		if copied < 0 {
			return fmt.Errorf("socket %s: no descriptor is left", s.Name)
		}
		file := os.NewFile(uintptr(copied), s.Name)
		defer file.Close()
		if s.ForRouterStats() && one.number > 1 { // they are those of one process
			continue
		}
		socket := routerspec.Socket{FD: pass(file), Key: s.Key, Name: s.Name, Port: s.Port, TLS: one.tls[i], Redirect: s.Protocol == uwsgiopts.RedirectFront}
		switch {
		case s.ForSubscriptions():
			spec.Subscriptions = append(spec.Subscriptions, socket)
		case s.ForRouterStats():
			spec.Stats = append(spec.Stats, socket)
		default:
			spec.Fronts = append(spec.Fronts, socket)
		}
	}
	cmd, err := r.m.commands.startCompanion(routerProgram, spec, extra, one.dir, one.credential)
	if err != nil {
		return err
	}
	started = true
	one.cmd, one.control, one.ready = cmd, ours, false
	logf("spawned uWSGI %s %d (pid: %d)", one.spec.Kind, one.number, cmd.Process.Pid)
	hear(ours, routerWord, func(e routerspec.Event) { r.m.post(func(*master) { r.heard(one, e) }) })
	go func() { // ends with the process; a master that has finished does not wait for it
		err := r.m.commands.wait(cmd)
		r.m.post(func(*master) { r.ended(one, err) })
	}()
	return nil
}

func (r *routers) heard(one *router, e routerspec.Event) {
	switch e.Kind {
	case routerspec.Ready:
		one.ready = true
		for _, old := range one.replaces {
			r.dismiss(old, true)
		}
		one.replaces = nil
	case routerspec.Announce, routerspec.Withdraw:
		r.note(one.spec.Kind, e.Kind, e.Node)
		for _, other := range r.all {
			if other != one && other.spec.Kind == one.spec.Kind && !other.leaving {
				r.order(other, routerspec.Order{Kind: e.Kind, Node: e.Node})
			}
		}
	}
}

func (r *routers) order(one *router, o routerspec.Order) {
	if one.cmd != nil {
		tell(one.control, o) // one that has ended is replaced
	}
}

// dismiss has a router finish what it has, and kills one that takes too long.
func (r *routers) dismiss(one *router, successor bool) {
	if one.leaving {
		return
	}
	one.leaving = true
	if one.cmd == nil {
		r.forget(one)
		return
	}
	r.order(one, routerspec.Order{Kind: routerspec.Stop, Successor: successor})
	wait := time.Duration(one.spec.Routing.MercyMillis)*time.Millisecond + routerExtra
	r.m.after(wait, func(*master) { r.kill(one) })
}

func (r *routers) kill(one *router) {
	if one.cmd != nil {
		logf("uWSGI %s %d (pid: %d) is taking too much time to die...NO MERCY !!!", one.spec.Kind, one.number, one.cmd.Process.Pid)
		_ = one.cmd.Process.Kill()
	}
}

// stop has all of them finish what they have, and goes on when they have gone.
func (r *routers) stop(successor bool, then func(*master)) {
	r.stopping, r.stopped = true, then
	for _, one := range slices.Clone(r.all) {
		r.dismiss(one, successor)
	}
	r.proceed()
}

// hurry ends them without waiting for anything.
func (r *routers) hurry() {
	for _, one := range r.all {
		if one.cmd != nil {
			_ = one.cmd.Process.Kill()
		}
	}
}

func (r *routers) proceed() {
	if next := r.stopped; next != nil && r.gone() {
		r.stopped = nil
		next(r.m)
	}
}

// gone: there is no process.
func (r *routers) gone() bool {
	return !slices.ContainsFunc(r.all, func(one *router) bool { return one.cmd != nil })
}

func (r *routers) ended(one *router, err error) {
	pid := one.cmd.Process.Pid
	one.cmd = nil
	one.control.Close()
	if one.leaving || r.stopping {
		logf("gateway \"uWSGI %s %d\" has been buried (pid: %d)", one.spec.Kind, one.number, pid)
		r.forget(one)
		r.proceed()
		return
	}
	logf("DAMN ! uWSGI %s %d (pid: %d) died (%v) :( trying respawn ...", one.spec.Kind, one.number, pid, err)
	r.retry(one)
}

// retry starts a router again, after a pause that grows with each death in a row.
func (r *routers) retry(one *router) {
	r.m.after(one.backoff.Ended(r.m.sys.now().Sub(one.started)), func(*master) { r.start(one) })
}

func (r *routers) forget(one *router) {
	r.all = slices.DeleteFunc(r.all, func(other *router) bool { return other == one })
}
