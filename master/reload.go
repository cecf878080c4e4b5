package master

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"envoxyd/internal/emperorlink"
	"envoxyd/internal/workerspec"
	"envoxyd/master/hooks"
	"envoxyd/master/sockets"
	"envoxyd/modules"
	"envoxyd/uwsgiopts"
)

// loadTimeout is how long a generation may load before another reload takes its place.
const loadTimeout = time.Minute

// pendingRequests are what was asked for while it could not be done.
type pendingRequests struct{ reload, brutal, upgrade bool }

// later has catchUp do a reload that cannot be done now.
func (p *pendingRequests) later(brutal bool) { p.reload, p.brutal = true, brutal }

// catchUp does what was asked for in the meantime.
func (m *master) catchUp() {
	p := m.reloads.pending
	m.reloads.pending = pendingRequests{}
	switch {
	case p.upgrade:
		m.upgrade()
	case p.reload:
		m.reload(p.brutal)
	}
}

// giveUpLate gives a generation up that does not come up, when another reload waits for it or no
// worker can be replaced meanwhile. Else it may take as long as it likes: some applications take minutes.
func (m *master) giveUpLate(now time.Time) {
	late := m.next
	if late == nil || m.current == nil || now.Sub(late.began) < loadTimeout || !m.reloads.pending.reload && !m.lostZygote() {
		return
	}
	logf("reload: giving up the previous one, which has not come up for %v", loadTimeout)
	m.next = nil
	m.history.reloadEnds(now, fmt.Sprintf("given up after %v", now.Sub(late.began).Round(time.Second)))
	late.abandon()
	m.retire(late)
	sockets.CloseUnused(late.sockets, m.sockets)
	if m.lostZygote() {
		m.recoverZygote(0)
	}
	m.catchUp()
}

// preparation is what a generation is made of. Making one touches nothing that serves.
type preparation struct {
	cfg      *uwsgiopts.Config
	service  *modules.Service // nil: there is none
	material *material        // of TLS; nil: there is none
	hooks    *hooks.Runner    // that have run
	sockets  []*sockets.Socket
	err      error
}

// reload does what a reload is with this configuration: with --lazy, whose workers load
// the code by themselves, they alone are replaced.
func (m *master) reload(brutal bool) {
	if m.cfg.ExitOnReload && !m.life.stopping && !m.life.upgraded && !m.life.starting {
		logf("uWSGI: GAME OVER (insert coin)")
		m.stop()
		return
	}
	if m.cfg.Lazy && m.current != nil && m.next == nil && !m.reloads.preparing && !m.life.stopping && !m.life.upgraded && !m.lostZygote() {
		m.reloadWorkers(brutal)
		return
	}
	m.reloadAll(brutal)
}

// reloadAll reads the configuration again and starts a generation beside the serving
// one. Brutal: when the new one serves, the old one's requests are not waited for.
func (m *master) reloadAll(brutal bool) {
	switch {
	case m.life.stopping || m.life.upgraded:
		return
	case m.life.starting || m.reloads.preparing:
		m.reloads.pending.later(brutal)
		return
	case m.upgrader.busy:
		logf("reload: it follows the upgrade that is going on")
		m.reloads.pending.later(brutal)
		return
	case m.next != nil: // what it loads may be older than what is asked for now
		logf("reload: it follows the one that is loading")
		m.reloads.pending.later(brutal)
		return
	}
	m.reloads.brutal = brutal
	logf("reload: loading configuration and code beside those that serve")
	notify("RELOADING=1\n" + monotonic())
	m.reloads.preparing = true
	m.history.reloadBegins(m.sys.now())
	before, files, h, opener := m.cfg, m.readFiles(), m.newHooks(), m.socketOpener()
	m.beside(func() event {
		p := prepareReload(m.commands.ctx, before, files, m.reread, h, opener)
		return func(m *master) { m.prepared(p) }
	})
}

// prepareReload reads the configuration, runs the hooks that come before the application, and opens what is new.
// files are those of TLS that have been read before. It is called beside the loop.
func prepareReload(ctx context.Context, before *uwsgiopts.Config, files map[string][]byte, reread Reread, h *hooks.Runner, opener socketOpener) *preparation {
	p := &preparation{hooks: h}
	if p.cfg, p.err = reread.until(ctx); p.err != nil {
		return p
	}
	for _, notice := range p.cfg.Notices {
		logf("%s", notice)
	}
	if p.err = checkDirectories(p.cfg); p.err != nil {
		return p
	}
	settings := hookSettings(p.cfg)
	settings.Again = true
	for _, phase := range reloadPhases {
		if p.err = h.Run(ctx, settings, phase); p.err != nil {
			return p
		}
	}
	if p.material, p.err = firstProblem(readMaterial(p.cfg, files)); p.err != nil {
		return p
	}
	if p.err = errors.Join(makeSpoolDirs(p.cfg), checkRRDTool(p.cfg)); p.err != nil {
		return p
	}
	if p.err = rejoinCgroups(before, p.cfg); p.err != nil {
		return p
	}
	if p.service, p.err = loadService(ctx, p.cfg); p.err != nil {
		return p
	}
	if p.err = bindOfService(p.cfg, "", opener.given()); p.err != nil {
		return p
	}
	p.sockets, p.err = opener.open(p.cfg)
	return p
}

// until reads, and gives up when ctx ends: exec:// and http:// in a configuration take as long as they like.
func (read Reread) until(ctx context.Context) (*uwsgiopts.Config, error) {
	type result struct {
		cfg *uwsgiopts.Config
		err error
	}
	done := make(chan result, 1)
	go func() { // ends with the process at the latest
		cfg, err := read()
		done <- result{cfg, err}
	}()
	select {
	case r := <-done:
		return r.cfg, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("reading the configuration: %w", ctx.Err())
	}
}

// prepared goes on with a reload, back on the loop.
func (m *master) prepared(p *preparation) {
	m.reloads.preparing = false
	if m.life.stopping {
		sockets.CloseUnused(p.sockets, m.sockets)
		return
	}
	if p.err == nil {
		p.err = m.startNext(p)
	}
	if p.err != nil {
		logf("%v", p.err)
		m.reloadFailed(p.err.Error())
	}
}

// reloadFailed: the old generation goes on; if there is none, nothing is left to do. problem is for the statistics.
func (m *master) reloadFailed(problem string) {
	m.history.reloadEnds(m.sys.now(), problem)
	if m.current == nil || m.current.draining {
		m.endFailed(max(m.life.status, statusFailed))
		return
	}
	logf("*** reload failed: the previous configuration and code keep serving ***")
	notify("READY=1")
	if m.lostZygote() {
		m.recoverZygote(0)
	}
	m.catchUp()
}

// endFailed ends the instance: nothing serves, and nothing is to come.
func (m *master) endFailed(status int) {
	m.life.status = status
	m.drainAll()
}

// generationFailed: the generation could not start; status is what it ended with.
func (m *master) generationFailed(g *generation, status int) {
	if g.draining {
		m.forgetGone()
		return
	}
	g.abandon()
	first := m.current == nil
	switch {
	case m.next == g:
		m.next = nil
		m.retire(g)
		sockets.CloseUnused(g.sockets, m.sockets)
		if first {
			m.life.status = status
			m.life.stopping = true
		} else {
			m.reloadFailed(cmp.Or(g.problem, fmt.Sprintf("the application was not loaded (status %d)", status)))
		}
	case m.current != g:
		m.retire(g)
	case m.next == nil && !m.reloads.preparing: // lazy applications that no longer load
		m.endFailed(status)
	default: // unless the next generation comes up
		m.life.status = status
	}
	m.forgetGone()
}

// promote makes the generation that has come up the serving one.
func (m *master) promote() {
	g, old := m.next, m.current
	m.next, m.current = nil, g
	m.life.status = statusOK
	m.stopWatching()
	before := m.sockets
	m.sockets, m.cfg, m.hooks = g.sockets, g.cfg, g.hooks
	sockets.Own(m.sockets, m.cfg.Listen)
	if g.cfg.LogReopen && old != nil && g.cfg.LogFile() != "" {
		m.logs.reopen(g.cfg)
	}
	g.takeLog()
	m.useShared(g)
	m.useCertificates(g)
	m.gateways.activate(g)
	m.triggers.touched.reconfigure(g.cfg)
	m.pausing.paused, m.reloads.chain = false, nil
	m.serveStats()
	m.servePrometheus()
	m.statusPage.serve(m)
	m.serveSNMP()
	m.triggers.fifo.reconfigure(m)
	m.routers.follow(g)
	m.tracer.follow(g)
	if old == nil {
		m.firstReady()
		m.tellReady(g)
	} else {
		m.history.reloadEnds(m.sys.now(), "")
		m.atExit(old.cfg, old.hooks)
		if retired := sockets.RetireUnused(before, m.sockets); m.cfg.Vacuum {
			vacuumSockets(retired)
		}
		logf("gracefully (RE)spawned uWSGI master process (pid: %d)", os.Getpid())
		if m.reloads.brutal {
			logf("...brutally killing workers...")
			old.kill()
		} else {
			logf("...gracefully killing workers...")
			old.drain(syscall.SIGHUP)
		}
		m.retire(old)
	}
	g.startSignals()
	g.fillAuxiliaries(workerspec.RoleSpooler, workerspec.RoleMule)
	if g.asleep {
		m.watchForConnections()
	}
	m.watchdog.stop()
	m.watchdog = newWatchdog(g.service)
	m.replaceDaemons()
	m.jobs.crons.reconfigure(g.cfg)
	m.watchReloadFDs(g.cfg)
	m.watchAlarmFDs(g.cfg)
	m.triggers.fsReload.reconfigure(m, g.cfg)
	m.replacePushers(g.cfg)
	if m.metrics != nil {
		m.metrics.Reconfigure(&g.cfg.MetricsConfig, workDir(g.cfg))
	}
	m.triggers.notifySocket.reconfigure(notifyPath(g.cfg), old == nil && m.upgrader.second || g.cfg.UnixSocketTakeover)
	m.followSubscriptions(g)
	m.announce()
	m.triggers.zerg.reconfigure(m, g.cfg, old == nil && m.upgrader.second)
	notify("STATUS=uWSGI is ready\nREADY=1\nMAINPID=" + pidText())
	m.vassal.say(emperorlink.Loyal, emperorlink.Accepting)
	m.forgetGone()
	m.catchUp()
}

// firstReady: the service is up for the first time.
func (m *master) firstReady() {
	cfg := m.cfg
	logf("spawned uWSGI master process (pid: %d)", os.Getpid())
	for i, s := range m.sockets {
		if s.ForRouter() {
			logf("spawned uWSGI http %d (pid: %d)", i+1, os.Getpid())
		}
	}
	setName(masterName(cfg))
	m.takeOver()
	tellParent()
}

// retire puts a generation among those that are on their way out.
func (m *master) retire(g *generation) {
	m.old = append(m.old, g)
	g.raiseEarly()
}

// forgetGone lets go of generations without processes.
func (m *master) forgetGone() {
	kept := m.old[:0]
	for _, g := range m.old {
		g.endLeftovers(m.sys.now())
		if g.gone() && g.heardAll() {
			m.history.generationEnds(g)
			g.close()
		} else {
			kept = append(kept, g)
		}
	}
	m.old = kept
}
