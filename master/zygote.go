package master

import (
	"errors"
	"time"

	"envoxyd/internal/emperorlink"
	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
)

// link is how the master and the processes of one generation reach each other.
type link struct {
	orders  process.Orders   // to the zygote
	control *process.Channel // reports of the zygote; nil: none come
	workers *process.Channel // reports of the workers; nil: none come
	forks   process.Import   // what the zygote itself forks
}

func (l *link) close() {
	for _, channel := range []*process.Channel{l.control, l.workers} {
		if channel != nil {
			channel.Close()
		}
	}
}

// launch starts a generation's zygote.
type launch func(g *generation) (process.Process, *link, error)

// startZygote starts the process that imports the application and forks workers.
func (g *generation) startZygote() error {
	child, l, err := g.m.sys.launch(g)
	if err != nil {
		return err
	}
	g.link, g.zygote = l, process.NewZygote(child, l.orders)
	g.leftovers.of = l.forks
	g.reports = g.listen(l.workers, "worker", g.workerReport)
	said := g.listen(l.control, "zygote", g.zygoteReport)
	go func() { // ends with the process; a master that has finished does not wait for it
		exit, err := child.Wait()
		if l.control != nil { // what it has said comes before its end
			l.control.Finish()
			<-said
		}
		g.m.post(func(m *master) {
			m.logs.forget(child.PID())
			g.zygoteEnded(exit, err)
		})
	}()
	return nil
}

// listen turns reports into events until no more come; then it closes the returned channel.
func (g *generation) listen(from *process.Channel, who string, report func(process.Report)) <-chan struct{} {
	done := make(chan struct{})
	if from == nil {
		close(done)
		return done
	}
	go func() { // ends when the last holder of the other end is gone, or by link.close
		defer close(done)
		for {
			r, err := from.Receive()
			switch {
			case errors.Is(err, process.ErrMalformed):
				logf("%s: %v", who, err)
			case err != nil:
				return
			default:
				g.m.post(func(*master) { report(r) })
			}
		}
	}()
	return done
}

// heardAll has what the last processes have said be heard before the generation is let go of; false: some of it is not yet.
func (g *generation) heardAll() bool {
	if g.link.workers == nil || g.heard {
		return true
	}
	if !g.hearing {
		g.hearing = true
		g.link.workers.Finish()
		go func() { // ends at once; the master does not finish before
			<-g.reports
			g.m.post(func(m *master) {
				g.heard = true
				m.forgetGone()
			})
		}()
	}
	return false
}

// zygoteReport acts on what the zygote has to say. Processes that the application forks
// have the way to say it, too; they are not heard.
func (g *generation) zygoteReport(r process.Report) {
	if r.Sender != g.zygote.Process().PID() {
		return
	}
	if g.signalReport(r) {
		return
	}
	switch r.Kind {
	case "loaded":
		g.loaded()
	case eventGateway.report, zmqGateway.report:
		g.m.gateways.require(r.Kind)
	case communityReport:
		g.communityReport(r)
	case "forked", "fork failed":
		g.forked(r)
	case "failed":
		g.explained, g.problem = true, r.Text
	}
}

// loaded goes on with the start, once the application has been imported.
func (g *generation) loaded() {
	if !g.zygote.Loaded() {
		return
	}
	g.loadTime = g.m.sys.now().Sub(g.began)
	g.leftovers.of.Until = process.Now() // what comes later is a worker, or a worker's
	if g.cfg.NoServer {
		g.m.hooked(g.cfg, g.hooks, []string{"post-app"}, g.leaveLoaded)
		return
	}
	start := func(m *master) {
		if g.draining {
			return
		}
		m.hooked(g.cfg, g.hooks, []string{"post-app", "master-start"}, g.forkAll)
	}
	if g.m.current == nil {
		g.m.vassal.say(emperorlink.Started)
		g.m.gateways.prepare(g.number, start)
	} else {
		start(g.m)
	}
}

// forked is the zygote's answer to an order.
func (g *generation) forked(r process.Report) {
	if r.Role != "" && r.Role != workerspec.RoleWorker {
		g.auxiliaryForked(r)
		return
	}
	if r.Worker < 1 || r.Worker > len(g.workers) {
		return
	}
	w := g.workers[r.Worker-1]
	s := w.awaiting()
	if s == nil || !s.Awaits(r.ID) { // the worker itself was heard first, or the order was given up
		return
	}
	reason := r.Text
	if r.Kind == "forked" {
		err := g.adopt(w, r.PID)
		if err == nil {
			return
		}
		reason = err.Error()
	}
	logf("the zygote could not fork worker %d: %s", w.ID, reason)
	if g.orderFailed(w, r.ID, reason) == &w.seat {
		g.forkFailed(w)
	}
}

// orderFailed notes that an order was not carried out, and returns the seat that it was for; nil: it is not in hand.
func (g *generation) orderFailed(w *worker, number uint64, reason string) *seat {
	s := w.awaiting()
	if s == nil || !s.OrderFailed(number) {
		return nil
	}
	if s == &w.beside {
		g.noSuccessor(w, reason)
	}
	return s
}

// strayTime is how long a worker that the zygote could not tell of may take to report.
const strayTime = 2 * time.Second

// zygoteEnded notes the end of the zygote. Without one no worker can be replaced: another
// generation has to be made.
func (g *generation) zygoteEnded(exit process.Exit, err error) {
	m := g.m
	was := g.zygote.Ended()
	dismissed := was == process.Dismissed && g.leftovers.of.Until != 0 // after it had loaded
	g.leftovers.due = err != nil || exit.Signal != 0 || !dismissed && !g.explained
	for _, w := range g.workers {
		if s := w.awaiting(); s != nil {
			number, _ := s.OrderInHand()
			g.orderFailed(w, number, "the zygote has ended")
			g.straysUntil = m.sys.now().Add(strayTime)
		}
	}
	if g.abandonOrders() {
		g.straysUntil = m.sys.now().Add(strayTime)
	}
	pid := g.zygote.Process().PID()
	switch {
	case err != nil:
		logf("zygote: %v", err)
	case was != process.Dismissed && !g.explained:
		logf("the zygote (pid: %d) has ended: %v", pid, exit)
	}
	switch {
	case g.draining:
		m.forgetGone()
	case g == m.current:
		m.recoverZygote(m.sys.now().Sub(g.began) - g.loadTime)
	default:
		status := max(exit.Status, statusFailed)
		if was == process.Loading && g.explained {
			status = exit.Status
		}
		m.generationFailed(g, status)
	}
}
