package master

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"envoxyd/internal/workerspec"
	"envoxyd/master/privileges"
	"envoxyd/modules"
	"envoxyd/uwsgiopts"
)

// makeSpec writes down what zygote and workers need, and collects the descriptors for it.
func (g *generation) makeSpec(i *inheritance, lib string) (*workerspec.Spec, error) {
	cfg := g.cfg
	spec := &workerspec.Spec{
		Version: uwsgiopts.Version, Program: cfg.Program, Generation: g.number, StartedOn: g.m.started.Unix(),
		Processes: cfg.Processes, Threads: cfg.Threads, Lib: lib,
		HTTP: httpSpec(cfg), Limits: limitsSpec(cfg), Log: logSpec(cfg), Python: pythonSpec(cfg),
		Process: workerspec.Process{LimitAS: cfg.LimitAS, LimitNproc: cfg.LimitNproc, Prio: cfg.Prio, CPUAffinity: cfg.CPUAffinity,
			NoOrphans: cfg.NoOrphans, StackSignal: stackSignalOf(cfg), Hooks: workerHooks(cfg)},
	}
	if cfg.Master {
		spec.MasterPID = os.Getpid()
	}
	if g.service != nil {
		spec.Service = g.service.Document
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
	if spec.ControlFD, spec.EventFD, err = i.connect(); err != nil {
		return nil, err
	}
	if g.m.gateway != nil && isService(cfg) {
		if spec.Gateway, err = g.m.gateway.inherit(i); err != nil {
			return nil, err
		}
	}
	spec.HandoverFD = [2]int{-1, -1}
	if spec.Gateway != nil || cfg.Processes*cfg.Threads > 1 { // the gateway hands over to a single core too
		var out, in *os.File
		if spec.HandoverFD, out, in, err = i.handover(); err != nil {
			return nil, err
		}
		if spec.Gateway != nil {
			g.arrivals, g.handover = dupCloexec(int(out.Fd())), dupCloexec(int(in.Fd()))
		}
	}
	spec.LocksFD = i.add(g.m.resources.Locks.Fd())
	spec.AliveFD = i.add(g.m.alive.Fd())
	spec.ScoreboardFD = i.add(g.board.File().Fd())
	for _, s := range g.sockets {
		if !s.ForWorkers() {
			continue
		}
		spec.Sockets = append(spec.Sockets, workerspec.Socket{
			FD: i.add(uintptr(s.FD)), Protocol: s.Protocol, Name: s.Name, Port: s.Port, Unix: s.Unix(),
			Workers: cfg.MapSockets[len(spec.Sockets)],
		})
	}
	if g.m.log != nil && cfg.LogMaster {
		spec.Log.Marked = !g.logs.Stream()
		requests, err := g.m.log.Requests(g.logs)
		if err != nil {
			return nil, err
		}
		if requests != nil {
			spec.Log.RequestFD = i.add(requests.Fd())
		}
	}
	if file := cfg.LogFile(); file != "" {
		spec.Log.File = absolute(cfg.StartDir, file)
	}
	for _, p := range cfg.Pairs {
		spec.Opt = append(spec.Opt, [3]any{p.Name, p.Value, p.Flag})
	}
	return spec, nil
}

// stackSignalOf is the signal for --harakiri-verbose; 0: it is not wanted.
func stackSignalOf(cfg *uwsgiopts.Config) int {
	if cfg.HarakiriVerbose {
		return int(stackSignal)
	}
	return 0
}

// workerPhases are the phases of hooks that workers run themselves.
var workerPhases = []string{"post-fork", "accepting", "accepting-once", "accepting1", "accepting1-once"}

func workerHooks(cfg *uwsgiopts.Config) (hooks [][2]string) {
	for _, hook := range cfg.Hooks {
		if slices.Contains(workerPhases, hook.Phase) {
			hooks = append(hooks, [2]string{hook.Phase, hook.Text})
		}
	}
	return hooks
}

// loadService reads envoxy.json where there is one, and says what there is to say of it.
func loadService(cfg *uwsgiopts.Config) (*modules.Service, error) {
	service, notice, err := readService(cfg)
	if notice != "" {
		logf("%s", notice)
	}
	if service != nil {
		for _, notice := range service.Notices {
			logf("%s", notice)
		}
	}
	return service, err
}

// readService reads envoxy.json; nil: there is none to read. An application of the
// user's own may mean something else by conf, so for it the reason is only a notice.
func readService(cfg *uwsgiopts.Config) (service *modules.Service, notice string, err error) {
	if cfg.Conf == "" || !cfg.Profile && !namesBuiltinApp(cfg) { // under uwsgi's name conf is anybody's word
		return nil, "", nil
	}
	service, err = modules.Load(absolute(workDir(cfg), cfg.Conf), os.Environ(), confOverrides(cfg)...)
	if err != nil && !namesBuiltinApp(cfg) {
		return nil, fmt.Sprintf("conf is left to the application: %v", err), nil
	}
	return service, "", err
}

// namesApplication: the configuration says what to load.
func namesApplication(cfg *uwsgiopts.Config) bool {
	return len(cfg.Modules)+len(cfg.Mounts) > 0 || cfg.WSGIFile != "" || cfg.Eval != "" || cfg.Paste != ""
}

// isService: what is served may use the event gateway.
func isService(cfg *uwsgiopts.Config) bool { return cfg.Profile || namesBuiltinApp(cfg) }

func namesBuiltinApp(cfg *uwsgiopts.Config) bool {
	return slices.Contains(cfg.Modules, "run:app") || slices.Contains(cfg.Modules, "envoxyd.run:app")
}

// confOverrides are the --set conf.KEY=VALUE of the command line.
func confOverrides(cfg *uwsgiopts.Config) (overrides []string) {
	for _, p := range cfg.Pairs {
		if strings.HasPrefix(p.Name, "conf.") {
			overrides = append(overrides, p.Name+"="+p.Value)
		}
	}
	return overrides
}

func httpSpec(cfg *uwsgiopts.Config) workerspec.HTTP {
	return workerspec.HTTP{
		KeepaliveMillis: int(cfg.HTTPKeepalive / time.Millisecond), AutoChunked: cfg.HTTPAutoChunked,
		HeadMillis: int(cfg.HTTPHeadersTimeout / time.Millisecond), ServerNameHost: cfg.HTTPServerNameIsHost,
		TimeoutMillis: int(cfg.HTTPTimeout / time.Millisecond), Vars: cfg.HTTPVars, ProxyProtocol: cfg.ProxyProtocol,
		ManageScript: cfg.ManageScriptName, NoDelay: true, ExpectLimit: max(cfg.HTTPManageExpect, 0),
	}
}

func limitsSpec(cfg *uwsgiopts.Config) workerspec.Limits {
	return workerspec.Limits{
		BufferSize: cfg.BufferSize, MaxVars: cfg.MaxVars, SocketTimeoutMillis: int(cfg.SocketTimeout / time.Millisecond),
		SendTimeoutMillis: int(cfg.SendTimeout / time.Millisecond),
		LimitPost:         cfg.LimitPost, PostBuffering: cfg.PostBuffering, HarakiriSeconds: int(cfg.Harakiri / time.Second),
		MaxRequests: cfg.MaxRequests, MaxRequestsDelta: cfg.MaxRequestsDelta,
		MinLifetimeSeconds: int(cfg.MinWorkerLifetime / time.Second), ReloadOnRSS: cfg.ReloadOnRSS, ReloadOnAS: cfg.ReloadOnAS,
	}
}

func logSpec(cfg *uwsgiopts.Config) workerspec.Log {
	return workerspec.Log{
		Requests: !cfg.DisableLogging, Micros: cfg.LogMicros, ForwardedFor: cfg.LogXForwardedFor,
		On4xx: cfg.Log4xx, On5xx: cfg.Log5xx, Zero: cfg.LogZero, SlowMillis: int64(cfg.LogSlow / time.Millisecond), Big: cfg.LogBig,
		Format: cfg.LogFormat, Strftime: cfg.LogFormatStrftime, Date: cfg.LogDate, Memory: cfg.MemoryReport, Host: cfg.VHost,
		Sendfile: cfg.LogSendfile, IOErrors: cfg.LogIOError, Offload: cfg.Offload > 0,
		QuietSigpipe: cfg.IgnoreSigpipe, QuietWrites: cfg.IgnoreWriteErrors, WritesAllowed: !cfg.DisableWriteException,
	}
}

func pythonSpec(cfg *uwsgiopts.Config) workerspec.Python {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "localhost"
	}
	return workerspec.Python{
		Modules: cfg.Modules, WSGIFile: cfg.WSGIFile, Callable: cfg.Callable, Eval: cfg.Eval,
		Paste: cfg.Paste, PasteName: cfg.PasteName, PasteLogger: cfg.PasteLogger, Mounts: cfg.Mounts,
		ManageScriptName: cfg.ManageScriptName, NoDefaultApp: cfg.NoDefaultApp, NeedApp: cfg.NeedApp && (namesApplication(cfg) || !cfg.OnlySupervises()),
		LazyApps: cfg.LazyApps || cfg.Lazy, Pythonpath: cfg.Pythonpath, Argv: cfg.PyArgv, Imports: cfg.Imports,
		SharedImports: cfg.SharedImports, EarlyImports: cfg.EarlyImports, CatchExceptions: cfg.CatchExceptions,
		Strict: cfg.WSGIStrict, AcceptBuffer: cfg.AcceptBuffer, ManageChunked: cfg.ManageChunked,
		NoFileWrapper: cfg.DisableFileWrap, SkipAtexit: cfg.SkipAtexit, AddHeaders: cfg.AddHeaders, DelHeaders: cfg.DelHeaders,
		CollectHeaders: cfg.CollectHeaders, PullHeaders: cfg.PullHeaders, AutoGzip: cfg.HTTPAutoGzip,
		ReloadOnException: cfg.ReloadOnException, Procname: workerName(cfg), Hostname: hostname, Pidfile: cfg.Pidfile,
		Locks: cfg.Locks, AutoreloadMillis: int(cfg.PyAutoreload / time.Millisecond),
	}
}

// workerName is what ps is to show for workers, with a NUL for the number; "" leaves it alone.
func workerName(cfg *uwsgiopts.Config) string {
	switch {
	case cfg.Procname != "":
		return cfg.ProcnamePrefix + cfg.Procname + cfg.ProcnameAppend
	case cfg.AutoProcname || cfg.ProcnamePrefix != "" || cfg.ProcnameAppend != "":
		return cfg.ProcnamePrefix + "uWSGI worker \x00" + cfg.ProcnameAppend
	}
	return ""
}

func masterName(cfg *uwsgiopts.Config) string {
	switch {
	case cfg.ProcnameMaster != "":
		return cfg.ProcnameMaster
	case cfg.Procname != "":
		return cfg.ProcnamePrefix + cfg.Procname + cfg.ProcnameAppend
	case workerName(cfg) != "":
		return cfg.ProcnamePrefix + "uWSGI master" + cfg.ProcnameAppend
	}
	return ""
}

// logMode says how the cores are spread.
func logMode(cfg *uwsgiopts.Config) {
	mode := "single process"
	switch {
	case cfg.Processes > 1 && cfg.Threads > 1:
		mode = "preforking+threaded"
	case cfg.Processes > 1:
		mode = "preforking"
	case cfg.Threads > 1:
		mode = "threaded"
	}
	logf("*** Operational MODE: %s ***", mode)
	logf("your server socket listen backlog is limited to %d connections", cfg.Listen)
	logf("your mercy for graceful operations on workers is %d seconds", cfg.WorkerReloadMercy/time.Second)
	logf("your request buffer size is %d bytes", cfg.BufferSize)
	logf("mapped %s for %d cores", fmt.Sprint(cfg.Processes*cfg.Threads*256, " bytes"), cfg.Processes*cfg.Threads)
}
