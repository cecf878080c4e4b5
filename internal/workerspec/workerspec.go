// Package workerspec is the one document that the master hands to a zygote and
// its workers: everything that they need to know, already decided. The zygote's
// Python and the worker's Go both read it as JSON.
package workerspec

import (
	"encoding/json"
	"syscall"

	"envoxyd/internal/routespec"
	"envoxyd/internal/staticspec"
	"envoxyd/internal/tlsspec"
	"envoxyd/internal/tracing"
)

// EndCalls is the signal at which a worker gives up its calls to servers, before it is killed. It is a
// real-time signal that neither Go nor any common library takes.
const EndCalls = syscall.Signal(61)

// Spec is the whole document. File descriptors in it are inherited by the zygote
// and by every worker that it forks.
type Spec struct {
	Version    string `json:"version"`
	Program    string `json:"program"`
	MasterPID  int    `json:"master_pid"` // 0 without a master
	Generation int    `json:"generation"` // 0 for the first, one more with each reload
	StartedOn  int64  `json:"started_on"` // unix seconds
	Processes  int    `json:"processes"`
	Threads    int    `json:"threads"`
	Cores      int    `json:"cores"`  // requests at once in a worker: its threads, or what its loop runs
	Others     bool   `json:"others"` // other instances serve the same sockets

	ControlFD    int    `json:"control_fd"` // zygote ↔ master: commands and reports
	EventFD      int    `json:"event_fd"`   // workers → master: reports
	LocksFD      int    `json:"locks_fd"`   // uwsgi.lock and the locks of areas
	AliveFD      int    `json:"alive_fd"`   // reads end of file when the master is gone
	ScoreboardFD int    `json:"scoreboard_fd"`
	AuxiliaryFD  int    `json:"auxiliary_fd"` // lines of mules and spoolers: see internal/shm.Auxiliary
	MetricsFD    int    `json:"metrics_fd"`   // see internal/shm.Metrics; -1: none are kept
	TalliesFD    int    `json:"tallies_fd"`   // counters of all processes: see internal/shm.Tallies; -1: nobody counts
	SNMP         bool   `json:"snmp"`         // there is uwsgi.snmp_*
	SNMPFD       int    `json:"snmp_fd"`      // the memory of its values: see internal/shm.SNMPValues; -1: nobody is to see them
	HandoverFD   [2]int `json:"handover_fd"`  // a socket pair for connections that change cores; -1 where there is one core
	DeathsFD     int    `json:"deaths_fd"`    // an eventfd that is written to when a worker was killed: others look for what it was woken for; -1: none
	Lib          string `json:"lib"`          // the folder lib/envoxyd

	Row int `json:"row,omitempty"` // of the scoreboard, for this worker: its Python writes it in; 0: the worker's number

	Gateway *Gateway `json:"gateway,omitempty"` // nil: no Envoxy service

	Check bool `json:"check,omitempty"` // import, report, leave: nothing is to be served

	Sockets []Socket `json:"sockets"`
	VaultFD int      `json:"vault_fd"` // the memory of certificates and keys: see internal/tlsconfig; -1: there is none
	HTTP    HTTP     `json:"http"`

	Websockets Websockets `json:"websockets"`

	Limits  Limits  `json:"limits"`
	Log     Log     `json:"log"`
	Python  Python  `json:"python"`
	Process Process `json:"process"`
	Loop    *Loop   `json:"loop"` // nil: threads serve
	Mules   Mules   `json:"mules"`
	Signals Signals `json:"signals"`

	Shared *Shared `json:"shared,omitempty"` // nil: there are only locks

	ErrorPages map[int][]string `json:"error_pages"` // files, absolute, for the server's own answers with a status

	CGI *CGI `json:"cgi,omitempty"` // nil: no programs are run

	Static *staticspec.Options `json:"static,omitempty"` // nil: the application answers everything

	UUID string `json:"uuid"` // of the instance

	Routes []routespec.Rule `json:"routes,omitempty"` // the internal routing; they can be compiled

	Tracing *Tracing `json:"tracing,omitempty"` // nil: no spans are exported

	Spoolers []Spooler `json:"spoolers"`
	Spooling Spooling  `json:"spooling"`

	Opt     [][3]any        `json:"opt"` // uwsgi.opt in order: name, value, is a flag
	Service json.RawMessage `json:"service,omitempty"`
}

// Tracing is which spans a worker makes, and where they go.
type Tracing struct {
	FD      int             `json:"fd"` // a socket that takes records: see internal/tracing
	Sampler tracing.Sampler `json:"sampler"`
}

// Gateway is how an Envoxy service reaches the event gateway, should it need one.
type Gateway struct {
	CallsFD  int `json:"calls_fd"`  // takes one end of a stream, with SCM_RIGHTS, for the gateway to serve
	HealthFD int `json:"health_fd"` // the state of connectors: see internal/shm.Note

	ProgressFD int `json:"progress_fd"` // how much of a delivery is done: see internal/shm.Progress

	ZMQCallsFD int `json:"zmq_calls_fd"` // as CallsFD, of the ZeroMQ gateway
}

// Socket is one listening socket.
type Socket struct {
	FD       int             `json:"fd"`
	Protocol string          `json:"protocol"` // as uwsgiopts.Socket
	Name     string          `json:"name"`     // as in the log
	Port     string          `json:"port"`     // SERVER_PORT
	Unix     bool            `json:"unix"`
	TLS      *tlsspec.Socket `json:"tls,omitempty"`     // nil: it is spoken in the clear
	Workers  []int           `json:"workers,omitempty"` // those that serve it; none: all

	Modifier1 byte `json:"modifier1"` // of requests whose protocol has none
}

// HTTP is what the HTTP transports need.
type HTTP struct {
	KeepaliveMillis int      `json:"keepalive_ms"` // --http; 0: close after each response
	AutoChunked     bool     `json:"auto_chunked"`
	TimeoutMillis   int      `json:"timeout_ms"`
	HeadMillis      int      `json:"head_ms"` // for a whole head
	ServerNameHost  bool     `json:"server_name_host"`
	Vars            []string `json:"vars"`
	ProxyProtocol   bool     `json:"proxy_protocol"`
	RouterProxy     bool     `json:"router_proxy"` // likewise, on --http
	ManageScript    bool     `json:"manage_script_name"`
	NoDelay         bool     `json:"tcp_nodelay"`
	KeepSlashes     bool     `json:"keep_slashes"` // "%2F" in paths
	ExpectLimit     int64    `json:"expect_limit"` // --http-manage-expect=N: larger bodies get 413; 0: none
}

// Limits bound what a request or a worker may take.
type Limits struct {
	BufferSize          int    `json:"buffer_size"`
	MaxVars             int    `json:"max_vars"`
	SocketTimeoutMillis int    `json:"socket_timeout_ms"`
	SendTimeoutMillis   int    `json:"send_timeout_ms"` // of writes; 0: as the socket timeout
	LimitPost           int64  `json:"limit_post"`
	PostBuffering       int64  `json:"post_buffering"`
	BodyMemory          int64  `json:"body_memory"`      // of a worker, for bodies; 0: no limit, as for the next three
	BodyFiles           int64  `json:"body_files"`       // likewise, in files
	BodyFilesTotal      int64  `json:"body_files_total"` // of all workers
	ResponseFiles       int64  `json:"response_files"`   // likewise, in files
	ResponseMemory      int64  `json:"response_memory"`  // of a worker, for responses that clients have not read yet
	HarakiriSeconds     int    `json:"harakiri"`
	Modifiers           []byte `json:"modifiers"`   // of uwsgi packets that are taken; none: all that are served
	NoSendfile          bool   `json:"no_sendfile"` // files are read and written
	MaxRequests         int64  `json:"max_requests"`
	MaxRequestsDelta    int64  `json:"max_requests_delta"`
	MinLifetimeSeconds  int    `json:"min_worker_lifetime"`
	ReloadOnRSS         int64  `json:"reload_on_rss"`
	ReloadOnAS          int64  `json:"reload_on_as"`
	ReloadOnUSS         int64  `json:"reload_on_uss"` // memory of the worker's own
	ReloadOnPSS         int64  `json:"reload_on_pss"` // with its part of what it shares
}

// LineMark begins a record for the log master that is a whole line. The line may come in
// between two pieces of another one that the application's threads write.
const LineMark = 0

// RequestMark is LineMark for a line about a request.
const RequestMark = 1

// Log is what is written about requests.
type Log struct {
	Requests      bool   `json:"requests"` // false: --disable-logging
	Micros        bool   `json:"micros"`
	ForwardedFor  bool   `json:"x_forwarded_for"`
	On4xx         bool   `json:"on_4xx"`
	On5xx         bool   `json:"on_5xx"`
	Zero          bool   `json:"zero"`
	SlowMillis    int64  `json:"slow_ms"`
	Big           int64  `json:"big"`
	Format        string `json:"format"`   // --log-format; "": uWSGI's own line
	JSON          bool   `json:"json"`     // --log-json: without Format, an object for each request
	Short         bool   `json:"short"`    // without Format, a short line for each request: a person reads it
	Whole         bool   `json:"whole"`    // a line is to be no longer than what a pipe takes in one piece
	Color         bool   `json:"color"`    // of a short line
	Strftime      bool   `json:"strftime"` // %(ftime) is as Date says
	Date          string `json:"date"`     // --log-date: "": none, "true": as ctime, else a strftime format
	Memory        int    `json:"memory"`   // --memory-report
	Host          bool   `json:"host"`     // --vhost
	Sendfile      bool   `json:"sendfile"`
	IOErrors      bool   `json:"io_errors"`
	Offload       bool   `json:"offload"` // files that are sent are said to be offloaded
	QuietSigpipe  bool   `json:"quiet_sigpipe"`
	QuietWrites   bool   `json:"quiet_writes"`
	WritesAllowed bool   `json:"write_exceptions"` // false: --disable-write-exception
	RequestFD     int    `json:"request_fd"`       // where lines about requests go; 0: to the others
	WorkerFD      int    `json:"worker_fd"`        // what workers have as standard output and error; 0: what the zygote has
	File          string `json:"file"`             // that the log goes to in the end; empty: none
	Marked        bool   `json:"marked"`           // the server's own lines begin with LineMark
}

// Python says what to import and how to call it.
type Python struct {
	Modules           []string `json:"modules"`
	WSGIFile          string   `json:"wsgi_file"`
	Callable          string   `json:"callable"`
	Eval              string   `json:"eval"`
	Paste             string   `json:"paste"`
	PasteName         string   `json:"paste_name"`
	PasteLogger       bool     `json:"paste_logger"`
	Mounts            []string `json:"mounts"`
	ManageScriptName  bool     `json:"manage_script_name"`
	NoDefaultApp      bool     `json:"no_default_app"`
	ErrorPages500     []string `json:"error_pages_500"` // Spec.ErrorPages of 500, for requests without an application
	NeedApp           bool     `json:"need_app"`
	LazyApps          bool     `json:"lazy_apps"`
	Pythonpath        []string `json:"pythonpath"`
	Argv              string   `json:"argv"`
	Imports           []string `json:"imports"`
	SharedImports     []string `json:"shared_imports"`
	EarlyImports      []string `json:"early_imports"`
	CatchExceptions   bool     `json:"catch_exceptions"`
	Strict            bool     `json:"strict"`
	AcceptBuffer      bool     `json:"accept_buffer"`
	ManageChunked     bool     `json:"manage_chunked"`
	NoFileWrapper     bool     `json:"no_file_wrapper"`
	SkipAtexit        bool     `json:"skip_atexit"`
	AddHeaders        []string `json:"add_headers"`
	DelHeaders        []string `json:"del_headers"`
	CollectHeaders    []string `json:"collect_headers"`
	PullHeaders       []string `json:"pull_headers"`
	AutoGzip          bool     `json:"auto_gzip"`
	ReloadOnException bool     `json:"reload_on_exception"`
	Procname          string   `json:"procname"` // a NUL stands for the worker's number; empty: leave alone
	Hostname          string   `json:"hostname"`
	Pidfile           string   `json:"pidfile"`
	User              *User    `json:"user"` // nil: stay who the zygote is
	AutoreloadMillis  int      `json:"autoreload_ms"`
	RPCMax            int      `json:"rpc_max"` // functions that may be offered
	Locks             int      `json:"locks"`   // of the application's, beside lock 0

	EarlyPath      []string `json:"early_path"`
	Aliases        []string `json:"aliases"`      // ALIAS=MODULE, before the application
	PostAliases    []string `json:"post_aliases"` // likewise, after it
	Executable     string   `json:"executable"`   // for sys.executable; "": leave alone
	Pecan          string   `json:"pecan"`        // a configuration
	WorkerMounts   []string `json:"worker_mounts"`
	VHost          bool     `json:"vhost"`           // applications are chosen by host too
	VHostHost      bool     `json:"vhost_host"`      // which is the Host header
	DynamicApps    bool     `json:"dynamic_apps"`    // requests may name applications
	MaxApps        int      `json:"max_apps"`        // that they may name
	ThreadStack    int      `json:"thread_stack"`    // bytes; 0: the system's choice
	AutoreloadSkip []string `json:"autoreload_skip"` // modules
	Tracebacker    string   `json:"tracebacker"`     // absolute beginning of sockets' names
	Exec           string   `json:"exec"`            // runs as each worker; "": the worker serves
	ExecLate       bool     `json:"exec_late"`       // after the worker's hooks

	ReloadOnExceptionTypes  []string `json:"reload_on_exception_types"`
	ReloadOnExceptionValues []string `json:"reload_on_exception_values"`
	ReloadOnExceptionReprs  []string `json:"reload_on_exception_reprs"` // TYPE: TEXT

	GeventPatch bool `json:"gevent_patch"` // gevent is to patch the standard library before the application is imported

	Script string `json:"script"` // runs in place of serving
	Test   string `json:"test"`   // a module that is imported in place of serving

	NoDelay          bool `json:"no_delay"` // start_response sends the head
	IgnoreScriptName bool `json:"ignore_script_name"`
	HarakiriNoAfter  bool `json:"harakiri_no_after"`

	Magic map[string]string `json:"magic"` // what the letters behind a % stand for in files
}

// Process is what zygote and workers set for themselves.
type Process struct {
	LimitAS     int64 `json:"limit_as"`     // bytes; 0: no limit
	LimitNproc  int   `json:"limit_nproc"`  // 0: no limit
	Prio        int   `json:"prio"`         // 0: as it is
	CPUAffinity int   `json:"cpu_affinity"` // processors for each worker; 0: all

	StackSignal int `json:"stack_signal"` // has a worker write its Python stacks to the log; 0: none does

	NoOrphans bool `json:"no_orphans"` // a worker ends at once when the master has died

	Hooks [][2]string `json:"hooks"` // of workers: phase and ACTION:ARGUMENT
}

// User is who a worker becomes right after the fork (--master-as-root).
type User struct {
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups"`
}

// Command is what the master writes to the zygote's control socket, one JSON
// object a datagram.
type Command struct {
	Kind   string `json:"kind"`
	ID     uint64 `json:"id"`     // comes back with the report on it
	Role   string `json:"role"`   // of the process to fork: RoleWorker …
	Worker int    `json:"worker"` // the number of the place to fill, of those with that role
	Row    int    `json:"row"`    // of the scoreboard, for the process to write
	Again  bool   `json:"again"`  // there was a process in its place before
}

// CommandFork has the zygote fork a worker. It answers "forked" or "fork failed".
const CommandFork = "fork"

// Event is what zygote and workers report, one JSON object a datagram.
type Event struct {
	Role   string       `json:"role"`   // of the process that it is about; "": a worker, or the zygote
	Kind   string       `json:"kind"`   // zygote: step, loaded, forked, fork failed, failed, gateway, zmq, with --check problem, note, checked; worker: started, ready, failed, recycle, stopping, gateway, zmq, alarm; both: snmp-community
	ID     uint64       `json:"id"`     // of forked and fork failed: the command's
	Worker int          `json:"worker"` // 0: the zygote
	PID    int          `json:"pid"`
	Status int          `json:"status"` // of failed: the exit status to pass on
	Text   string       `json:"text"`   // of step, failed, fork failed, problem and note: what it was about; of snmp-community: its bytes in hexadecimal
	Signal *SignalOrder `json:"signal"`
	Option string       `json:"option"` // of problem: the option to blame, and its value
	Value  string       `json:"value"`
}
