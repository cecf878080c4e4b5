package master

import (
	"os"
	"slices"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/internal/workerspec"
	"envoxyd/uwsgiopts"
)

// processSpec is what zygote and workers set for themselves.
func processSpec(cfg *uwsgiopts.Config) workerspec.Process {
	return workerspec.Process{
		LimitAS: cfg.LimitAS, LimitNproc: cfg.LimitNproc, Prio: cfg.Prio, CPUAffinity: cfg.CPUAffinity,
		NoOrphans: cfg.NoOrphans, StackSignal: stackSignalOf(cfg), Hooks: workerHooks(cfg),
	}
}

// stackSignalOf is the signal for --harakiri-verbose; 0: it is not wanted.
func stackSignalOf(cfg *uwsgiopts.Config) int {
	if cfg.HarakiriVerbose {
		return int(stackSignal)
	}
	return 0
}

// workerPhases are the phases of hooks that workers run themselves.
var workerPhases = []string{"as-mule", "post-fork", "accepting", "accepting-once", "accepting1", "accepting1-once"}

func workerHooks(cfg *uwsgiopts.Config) (hooks [][2]string) {
	for _, hook := range cfg.Hooks {
		if slices.Contains(workerPhases, hook.Phase) {
			hooks = append(hooks, [2]string{hook.Phase, hook.Text})
		}
	}
	return hooks
}

func httpSpec(cfg *uwsgiopts.Config) workerspec.HTTP {
	return workerspec.HTTP{
		KeepaliveMillis: int(cfg.HTTPKeepalive / time.Millisecond), AutoChunked: cfg.HTTPAutoChunked,
		HeadMillis: int(cfg.HTTPHeadersTimeout / time.Millisecond), ServerNameHost: cfg.HTTPServerNameIsHost,
		TimeoutMillis: int(cfg.HTTPTimeout / time.Millisecond), Vars: cfg.HTTPVars, ProxyProtocol: cfg.ProxyProtocol, RouterProxy: cfg.HTTPProxyProtocol,
		ManageScript: cfg.ManageScriptName, NoDelay: true, KeepSlashes: cfg.KeepSlashes, ExpectLimit: max(cfg.HTTPManageExpect, 0),
	}
}

func limitsSpec(cfg *uwsgiopts.Config) workerspec.Limits {
	return workerspec.Limits{
		BufferSize: cfg.BufferSize, MaxVars: cfg.MaxVars, SocketTimeoutMillis: int(cfg.SocketTimeout / time.Millisecond),
		SendTimeoutMillis: int(cfg.SendTimeout / time.Millisecond),
		LimitPost:         cfg.LimitPost, PostBuffering: cfg.PostBuffering,
		BodyMemory: cfg.BodyMemory, BodyFiles: cfg.BodyFiles, BodyFilesTotal: cfg.BodyFilesTotal, ResponseMemory: cfg.ResponseMemory, ResponseFiles: cfg.ResponseFiles,
		NoSendfile: cfg.NoSendfile, Modifiers: cfg.AllowedModifiers, HarakiriSeconds: int(cfg.Harakiri / time.Second),
		MaxRequests: cfg.MaxRequests, MaxRequestsDelta: cfg.MaxRequestsDelta,
		MinLifetimeSeconds: int(cfg.MinWorkerLifetime / time.Second), ReloadOnRSS: cfg.ReloadOnRSS, ReloadOnAS: cfg.ReloadOnAS,
		ReloadOnUSS: cfg.ReloadOnUSS, ReloadOnPSS: cfg.ReloadOnPSS,
	}
}

func logSpec(cfg *uwsgiopts.Config) workerspec.Log {
	return workerspec.Log{
		Requests: !cfg.DisableLogging, Micros: cfg.LogMicros, ForwardedFor: cfg.LogXForwardedFor,
		On4xx: cfg.Log4xx, On5xx: cfg.Log5xx, Zero: cfg.LogZero, SlowMillis: int64(cfg.LogSlow / time.Millisecond), Big: cfg.LogBig,
		Format: cfg.LogFormat, JSON: cfg.LogJSON, Strftime: cfg.LogFormatStrftime, Date: cfg.LogDate, Memory: cfg.MemoryReport, Host: cfg.VHost,
		Sendfile: cfg.LogSendfile, IOErrors: cfg.LogIOError, Offload: cfg.Offload > 0,
		QuietSigpipe: cfg.IgnoreSigpipe, QuietWrites: cfg.IgnoreWriteErrors, WritesAllowed: !cfg.DisableWriteException && cfg.WriteTolerance == 0,
	}
}

func pythonSpec(cfg *uwsgiopts.Config) workerspec.Python {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "localhost"
	}
	magic := map[string]string{}
	for letter, text := range cfg.Magic {
		magic[string(rune(letter))] = text
	}
	return workerspec.Python{
		Magic: magic, Modules: cfg.Modules, WSGIFile: cfg.WSGIFile, Callable: cfg.Callable, Eval: cfg.Eval,
		Paste: cfg.Paste, PasteName: cfg.PasteName, PasteLogger: cfg.PasteLogger, Mounts: cfg.Mounts,
		ManageScriptName: cfg.ManageScriptName, NoDefaultApp: cfg.NoDefaultApp, NeedApp: cfg.NeedApp && cfg.WorkerExec == "" && !cfg.DynamicApps && !cfg.ServesNothing() && (namesApplication(cfg) || !cfg.OnlySupervises() && !cfg.CGI()),
		LazyApps: cfg.LazyApps || cfg.Lazy, Pythonpath: cfg.Pythonpath, Argv: cfg.PyArgv, Imports: cfg.Imports,
		SharedImports: cfg.SharedImports, EarlyImports: cfg.EarlyImports, CatchExceptions: cfg.CatchExceptions,
		Strict: cfg.WSGIStrict, AcceptBuffer: cfg.AcceptBuffer, ManageChunked: cfg.ManageChunked,
		NoFileWrapper: cfg.DisableFileWrap, SkipAtexit: cfg.SkipAtexit, AddHeaders: cfg.AddHeaders, DelHeaders: cfg.DelHeaders,
		CollectHeaders: cfg.CollectHeaders, PullHeaders: cfg.PullHeaders, AutoGzip: cfg.HTTPAutoGzip,
		ReloadOnException: cfg.ReloadOnException, Procname: workerName(cfg), Hostname: hostname, Pidfile: cfg.Pidfile,
		Locks: cfg.Locks, RPCMax: cfg.RPCMax, AutoreloadMillis: int(cfg.PyAutoreload / time.Millisecond),
		EarlyPath: cfg.EarlyPath, Aliases: cfg.ModuleAliases, PostAliases: cfg.PostAliases, Executable: cfg.SysExecutable, Pecan: cfg.Pecan,
		WorkerMounts: cfg.WorkerMounts, VHost: cfg.VHost, VHostHost: cfg.VHostHost, DynamicApps: cfg.DynamicApps, MaxApps: cfg.MaxApps,
		ThreadStack: cfg.ThreadStack << 10, AutoreloadSkip: cfg.AutoreloadSkip, Tracebacker: tracebackerPath(cfg),
		GeventPatch: cfg.GeventEarlyPatch,
		Script:      cfg.Script, Test: cfg.TestModule, Exec: cfg.WorkerExec, ExecLate: cfg.WorkerExecLate,
		ReloadOnExceptionTypes: cfg.ReloadOnExceptionTypes, ReloadOnExceptionValues: cfg.ReloadOnExceptionValues,
		ReloadOnExceptionReprs: cfg.ReloadOnExceptionReprs,
		NoDelay:                cfg.StartResponseNoDelay, IgnoreScriptName: cfg.IgnoreScriptName, HarakiriNoAfter: cfg.HarakiriNoAfter,
	}
}

func websocketSpec(cfg *uwsgiopts.Config) workerspec.Websockets {
	return workerspec.Websockets{
		PingSeconds: cfg.WebsocketPing, PongSeconds: cfg.WebsocketPong,
		MaxSize: cfg.WebsocketMaxSize, ContinuationBuffer: cfg.WebsocketContinuation,
	}
}

func loopSpec(cfg *uwsgiopts.Config) *workerspec.Loop {
	if cfg.Loop == "" {
		return nil
	}
	return &workerspec.Loop{Name: cfg.Loop, Quiet: cfg.QuietQueueFull, EventLoop: cfg.ASGILoop, Lifespan: cfg.ASGILifespan, Patch: cfg.GeventPatch, WaitForHub: cfg.GeventWaitForHub}
}

// tracebackerPath is what the names of the sockets for tracebacks begin with; "": there are none.
func tracebackerPath(cfg *uwsgiopts.Config) string {
	if cfg.Tracebacker == "" {
		return ""
	}
	return paths.In(workDir(cfg), cfg.Tracebacker)
}
