package master

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"envoxyd/internal/monotime"
	"envoxyd/internal/respawn"
	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
	"envoxyd/uwsgiopts"
)

// auxiliary is the place of a process beside the workers: a mule, or one of a spooler's. It does not keep a generation from
// taking over, and its successor comes when it has gone: there is never two of one.
type auxiliary struct {
	process.Place
	dir     string        // of a spooler
	mercy   time.Duration // that it has to end in
	unasked bool          // it was killed by the master itself, for harakiri
}

// newAuxiliaries are the places that the configuration wants, in the order of their lines.
func newAuxiliaries(cfg *uwsgiopts.Config) (all []*auxiliary) {
	add := func(role string, id int, dir string, mercy time.Duration) {
		a := &auxiliary{dir: dir, mercy: mercy}
		a.Place = process.Place{Kind: role, Role: role, ID: id, Backoff: respawn.Backoff{Policy: workerBackoff}}
		a.Row = len(all) + 1
		all = append(all, a)
	}
	for n := range cfg.Mules {
		add(workerspec.RoleMule, n+1, "", cfg.MuleReloadMercy)
	}
	number := 0
	for _, spooler := range cfg.Spoolers {
		for range spooler.Processes {
			number++
			add(workerspec.RoleSpooler, number, spooler.Dir, mercy(cfg))
		}
	}
	return all
}

// auxiliary is the place of a role's process with that number; nil: there is none.
func (g *generation) auxiliary(role string, id int) *auxiliary {
	at := slices.IndexFunc(g.auxiliaries, func(a *auxiliary) bool { return a.Kind == role && a.ID == id })
	if at < 0 {
		return nil
	}
	return g.auxiliaries[at]
}

// fillAuxiliaries starts what is missing of the given roles, once the predecessors have gone.
func (g *generation) fillAuxiliaries(roles ...string) {
	for _, a := range g.auxiliaries {
		if slices.Contains(roles, a.Kind) {
			g.fillAuxiliary(a)
		}
	}
}

// fillAuxiliary starts a process in a place, if its time has come: new code that may fail has none beside the old.
func (g *generation) fillAuxiliary(a *auxiliary) {
	early := g == g.m.next && g.m.current == nil
	if g.draining || g != g.m.current && !early || !a.Is(process.Absent) || g.m.predecessor(a) {
		return
	}
	err := g.zygote.Fork(&a.Place, g.m.sys.now().Add(forkTimeout))
	if err == nil || g.zygote.State() == process.Lost { // the next generation brings them
		return
	}
	logf("%v", err)
	g.auxiliaryFailed(a)
}

// auxiliaryFailed tries again later, after a wait that grows.
func (g *generation) auxiliaryFailed(a *auxiliary) {
	g.m.after(max(a.Backoff.Ended(0), time.Second), func(*master) { g.fillAuxiliary(a) })
}

// predecessor tells whether an older generation has, or awaits, a process in the same place.
func (m *master) predecessor(a *auxiliary) bool {
	return slices.ContainsFunc(m.old, func(g *generation) bool {
		before := g.auxiliary(a.Kind, a.ID)
		return before != nil && !before.Is(process.Absent)
	})
}

// auxiliaryForked is the zygote's answer to an order.
func (g *generation) auxiliaryForked(r process.Report) {
	a := g.auxiliary(r.Role, r.Worker)
	if a == nil || !a.Awaits(r.ID) {
		return
	}
	reason := r.Text
	if r.Kind == "forked" {
		err := g.adoptAuxiliary(a, r.PID)
		if err == nil {
			return
		}
		reason = err.Error()
	}
	logf("the zygote could not fork %v: %s", &a.Place, reason)
	a.OrderFailed(r.ID)
	g.auxiliaryFailed(a)
}

// adoptAuxiliary makes a fresh process the one in a place that awaits one.
func (g *generation) adoptAuxiliary(a *auxiliary, pid int) error {
	if !a.Is(process.Ordered) || g.m.knows(pid) {
		return errNotAwaited
	}
	child, err := g.m.sys.os.Adopt(pid)
	if err != nil {
		return err
	}
	a.Adopt(child, g.m.sys.now())
	a.unasked = false
	g.m.logs.know(pid, a.Kind, a.ID)
	if a.Kind == workerspec.RoleMule {
		logf("spawned uWSGI mule %d (pid: %d)", a.ID, pid)
	} else {
		logf("spawned the uWSGI spooler on dir %s with pid %d", a.dir, pid)
	}
	go func() { // ends with the process; a master that has finished does not wait for it
		exit, err := child.Wait()
		g.m.post(func(*master) { g.auxiliaryExited(a, pid, exit, err) })
	}()
	switch {
	case g.killed:
		a.Leave(time.Time{})
		a.Signal(syscall.SIGKILL)
	case g.draining:
		g.dismissAuxiliary(a)
	default:
		a.ConfirmReady()
	}
	return nil
}

// auxiliaryReport acts on what a mule or spooler has to say of itself.
func (g *generation) auxiliaryReport(r process.Report) {
	a := g.auxiliary(r.Role, r.Worker)
	if a == nil || a.PID() != r.Sender && g.adoptAuxiliary(a, r.Sender) != nil {
		return
	}
	switch {
	case r.Kind == "started" && a.Is(process.Leaving): // it may not have heard before
		a.Signal(syscall.SIGTERM)
	case r.Kind == "ready":
		a.MarkReady(r.Sender)
	}
}

// dismissAuxiliary has the process in a place finish what it is at, and leave.
func (g *generation) dismissAuxiliary(a *auxiliary) {
	if a.Leave(g.m.sys.now().Add(a.mercy)) {
		a.Signal(syscall.SIGTERM)
	}
}

// reloadAuxiliaries replaces the processes of a role.
func (g *generation) reloadAuxiliaries(role string) {
	for _, a := range g.auxiliaries {
		if a.Kind == role {
			g.dismissAuxiliary(a)
		}
	}
}

// auxiliaryExited notes the end of a process, and starts the next one.
func (g *generation) auxiliaryExited(a *auxiliary, pid int, exit process.Exit, err error) {
	was, lived, ok := a.Ended(pid, g.m.sys.now())
	if !ok {
		return
	}
	g.m.logs.forget(pid)
	line := g.lines.Line(a.Row)
	line.PID.Store(0)
	line.State.Store(0)
	line.Deadline.Store(0)
	if err != nil {
		logf("%v: %v", &a.Place, err)
	}
	if g.draining {
		logf("%v (pid: %d) annihilated", a.title(), pid)
		if g.m.current != nil {
			g.m.current.fillAuxiliaries(a.Kind)
		}
		g.m.forgetGone()
		return
	}
	if was != process.Leaving {
		if a.Kind == workerspec.RoleMule {
			logf("OOOPS mule %d (pid: %d) crippled...trying respawn... (%v)", a.ID, pid, exit)
		} else {
			logf("OOOPS the spooler is no more...trying respawn... (pid: %d, %v)", pid, exit)
		}
	}
	g.m.after(a.Pause(was, lived), func(*master) { g.fillAuxiliary(a) })
}

// title is how uWSGI names the process where it ends.
func (a *auxiliary) title() string {
	if a.Kind == workerspec.RoleMule {
		return fmt.Sprintf("mule %d", a.ID)
	}
	return "spooler"
}

// enforceAuxiliaries ends those that have outstayed their time.
func (g *generation) enforceAuxiliaries(now time.Time) {
	for _, a := range g.auxiliaries {
		if a.LeaveLate(now) {
			logf("%s %d (pid: %d) is taking too much time to die...NO MERCY !!!", a.Kind, a.ID, a.PID())
			a.Signal(syscall.SIGKILL)
		}
		if due := g.lines.Line(a.Row).Deadline.Load(); due != 0 && due < monotime.Now() && a.Process() != nil && !a.unasked {
			if a.Kind == workerspec.RoleMule {
				logf("*** HARAKIRI ON MULE %d (pid: %d) ***", a.ID, a.PID())
			} else {
				logf("*** HARAKIRI ON THE SPOOLER (pid: %d) ***", a.PID())
			}
			a.unasked = true
			a.Signal(syscall.SIGKILL)
		}
		if number, late := a.OrderLate(now); late {
			logf("the zygote (pid: %d) has not forked %v for %v: it is stuck and is killed", g.zygote.Process().PID(), &a.Place, forkTimeout)
			a.OrderFailed(number)
			g.zygote.Kill()
		}
	}
}

// drainAuxiliaries has all of them leave; killAuxiliaries does not wait.
func (g *generation) drainAuxiliaries() {
	for _, a := range g.auxiliaries {
		g.dismissAuxiliary(a)
	}
}

func (g *generation) killAuxiliaries() {
	for _, a := range g.auxiliaries {
		a.Leave(time.Time{})
		a.Signal(syscall.SIGKILL)
	}
}

// noAuxiliary: none of them has a process.
func (g *generation) noAuxiliary() bool {
	return !slices.ContainsFunc(g.auxiliaries, func(a *auxiliary) bool { return a.PID() != 0 })
}

// abandonOrders gives up what a zygote that has ended was to fork.
func (g *generation) abandonOrders() (some bool) {
	for _, a := range g.auxiliaries {
		if number, ok := a.OrderInHand(); ok {
			a.OrderFailed(number)
			some = true
		}
	}
	return some
}
