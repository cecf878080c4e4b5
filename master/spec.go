package master

import (
	"os"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/master/privileges"
	"envoxyd/master/resources"
	"envoxyd/uwsgiopts"
)

// makeSpec writes down what zygote and workers need, and collects the descriptors for it.
func (g *generation) makeSpec(i *inheritance, lib string) (*workerspec.Spec, error) {
	cfg := g.cfg
	spec, err := baseSpec(cfg, g.number, g.m.started, lib)
	if err != nil {
		return nil, err
	}
	for _, line := range cfg.RouteLines {
		logf("%s", line)
	}
	if g.service != nil {
		spec.Service = g.service.Document
	}
	if err := g.addQueues(i, spec); err != nil {
		return nil, err
	}
	if err := i.addMemory(spec, g.m.owned.resources, g.m.owned.alive, g.board); err != nil {
		return nil, err
	}
	if g.m.tallies.file != nil {
		spec.TalliesFD = i.add(g.m.tallies.file.Fd())
	}
	if spec.Shared, g.shared, err = share(cfg, g.m.owned.resources, i, !g.cfg.NoServer); err != nil {
		return nil, err
	}
	if len(g.m.gateways) > 0 && isService(cfg) {
		if spec.Gateway, err = g.m.gateways.inherit(i); err != nil {
			return nil, err
		}
	}
	if spec.Gateway != nil || cfg.Processes*cfg.Cores() > 1 { // the gateway hands over to a single core too
		var out, in *os.File
		if spec.HandoverFD, out, in, err = i.handover(); err != nil {
			return nil, err
		}
		if spec.Gateway != nil {
			g.arrivals, g.handover = dupCloexec(int(out.Fd())), dupCloexec(int(in.Fd()))
		}
	}
	if err := g.addTracing(i, spec); err != nil {
		return nil, err
	}
	if spec.VaultFD, err = g.inheritVault(i); err != nil {
		return nil, err
	}
	for _, s := range g.sockets {
		if !s.ForWorkers() {
			continue
		}
		spec.Sockets = append(spec.Sockets, workerspec.Socket{
			FD: i.add(uintptr(s.FD)), Protocol: s.Protocol, Name: s.Name, Port: s.Port, Unix: s.Unix(), TLS: g.tlsSpec(s),
			Workers: cfg.MapSockets[len(spec.Sockets)], Modifier1: modifier1Of(cfg, s),
		})
	}
	to := ownShown(cfg)
	spec.Log.Short, spec.Log.Color = to.short && cfg.MemoryReport == 0 && !cfg.VHost, to.color
	if g.m.logs.log != nil && cfg.LogMaster {
		spec.Log.Marked = g.logs.Marked()
		requests, err := g.requestLog()
		if err != nil {
			return nil, err
		}
		if requests != nil {
			spec.Log.RequestFD = i.add(requests.Fd())
		}
		workers, err := g.m.logs.log.WorkerStdio(g.logs)
		if err != nil {
			return nil, err
		}
		if workers != nil {
			spec.Log.WorkerFD = i.add(workers.Fd())
		}
		spec.Log.Whole = requests == os.Stderr
	}
	return spec, nil
}

// baseSpec is what the configuration alone decides: no descriptors.
func baseSpec(cfg *uwsgiopts.Config, number int, started time.Time, lib string) (*workerspec.Spec, error) {
	spec := &workerspec.Spec{
		Version: uwsgiopts.Version, Program: cfg.Program, Generation: number, StartedOn: started.Unix(),
		Processes: cfg.Processes, Threads: cfg.Threads, Cores: cfg.Cores(), Loop: loopSpec(cfg), Others: cfg.ZergServer != "" || len(cfg.Zerg) > 0, Lib: lib, HandoverFD: [2]int{-1, -1}, DeathsFD: -1, VaultFD: -1, AuxiliaryFD: -1, MetricsFD: -1, TalliesFD: -1, SNMP: cfg.SNMP, SNMPFD: -1, Signals: workerspec.Signals{Spooler: -1},
		Mules: workerspec.Mules{
			List: []workerspec.Mule{}, Shared: workerspec.Pipe{Out: -1, In: -1}, Farms: []workerspec.Farm{},
			HarakiriSeconds: int(cfg.MuleHarakiri / time.Second), MercySeconds: int(cfg.MuleReloadMercy / time.Second),
			ReceiveSize: cfg.MuleMsgRecvSize,
		},
		HTTP: httpSpec(cfg), Websockets: websocketSpec(cfg), Limits: limitsSpec(cfg), Log: logSpec(cfg), Python: pythonSpec(cfg), Process: processSpec(cfg),
		Spoolers: spoolerSpecs(cfg), Spooling: spoolingSpec(cfg), Routes: cfg.Routes, UUID: instanceUUID(started),
	}
	if cfg.Master {
		spec.MasterPID = os.Getpid()
	}
	who, err := privileges.Of(cfg).Credential()
	if err != nil {
		return nil, err
	}
	if who != nil && cfg.MasterAsRoot {
		spec.Python.User = &workerspec.User{UID: who.Uid, GID: who.Gid, Groups: who.Groups}
	}
	if spec.Static, err = staticSpec(cfg); err != nil {
		return nil, err
	}
	spec.ErrorPages = errorPages(cfg)
	spec.Python.ErrorPages500 = spec.ErrorPages[500]
	if spec.CGI, err = cgiSpec(cfg); err != nil {
		return nil, err
	}
	if file := cfg.LogFile(); file != "" {
		spec.Log.File = paths.In(cfg.StartDir, file)
	}
	for _, p := range cfg.GivenPairs() {
		spec.Opt = append(spec.Opt, [3]any{p.Name, p.Value, p.Flag})
	}
	return spec, nil
}

// addMemory makes the link to zygote and workers and has them inherit what they share with the master.
func (i *inheritance) addMemory(spec *workerspec.Spec, shared *resources.Resources, alive *os.File, board *shm.Board) (err error) {
	if spec.ControlFD, spec.EventFD, err = i.connect(); err != nil {
		return err
	}
	spec.LocksFD = i.add(shared.Locks.Fd())
	spec.AliveFD = i.add(alive.Fd())
	spec.ScoreboardFD = i.add(board.File().Fd())
	return nil
}
