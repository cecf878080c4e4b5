package uwsgiopts

import "time"

// Config is what the option table fills: one typed value per setting, after the
// command line, the environment and every configuration file have been read.
// Nothing in it is resolved against the file system; relative paths are as they
// were written (see Config.StartDir and Config.Chdir for what they relate to).
type Config struct {
	// Program is argv[0]'s base name; "uwsgi" switches the embedded profile off.
	Program string
	// StartDir is the absolute directory that the process was started in.
	StartDir string
	// Action is set when the process is to do something else than serve; nil: serve.
	Action *Action
	// FallbackConfig is the configuration file to start with when the status would be 1.
	FallbackConfig string
	// Profile tells that the built-in profile of Envoxy services is at the front of Pairs.
	Profile bool
	// Check is --check: report what is wrong instead of serving.
	Check bool
	// Problems are what --check has found so far, each an *ExitError with its place if it has one.
	Problems []error
	// LeftOut are options that are not supported and that --allow-missing lets the start leave out, one line each.
	LeftOut []string
	// Pairs is the ordered list that everything else was derived from (uwsgi.opt, --show-config).
	Pairs []Pair
	// Notices are lines to be logged once at the start: unknown names with the nearest known one,
	// values that were read in part, what LeftOut says.
	Notices []string

	// Sockets in the order given; the first is uwsgi socket 0.
	Sockets []Socket
	// SharedSockets are bound first and may be named by Sockets as "=N".
	SharedSockets []string
	// UnixSocketTakeover lets a start take the place of an instance that serves the same unix socket or pipe.
	UnixSocketTakeover bool

	Listen         int           // backlog of each listening socket
	BufferSize     int           // largest request header block, bytes
	MaxVars        int           // largest number of request variables, keys plus values
	SocketTimeout  time.Duration // per read or write of a client socket
	LimitPost      int64         // largest request body, bytes; 0: no limit
	BodyMemory     int64         // of a worker, for request bodies, in bytes; 0: no limit, as for the next three
	BodyFiles      int64         // likewise, in files
	BodyFilesTotal int64         // of all workers
	ResponseMemory int64         // of a worker, for responses that clients have not read yet
	ResponseFiles  int64         // likewise, in files

	KeepSlashes bool // "%2F" stays as it is in PATH_INFO

	PostBuffering int64 // bodies from this size on are kept on disk; 0: off
	ChmodSocket   int   // -1: not given
	ChownSocket   string
	Umask         int // -1: not given
	Chroot        string
	ReusePort     bool
	Freebind      bool
	SoKeepalive   bool
	SoSndbuf      int
	SoRcvbuf      int
	TCPFastOpen   int  // connections that have sent data but are not established yet, for each socket; 0: off
	NoDeferAccept bool // uwsgi sockets: connections are accepted before something comes on them

	HTTPKeepalive        time.Duration // idle time on --http connections; 0: close after each response
	HTTPAutoChunked      bool
	HTTPTimeout          time.Duration
	HTTPHeadersTimeout   time.Duration // for the whole head of a request of --http
	HTTPServerNameIsHost bool
	HTTPAutoGzip         bool
	HTTPVars             []string // KEY=VALUE added to each request of --http
	HTTPManageExpect     int64    // -1: off, 0: on, >0: largest body that is let in
	ProxyProtocol        bool     // --enable-proxy-protocol

	Master         bool
	Processes      int
	Threads        int
	LazyApps       bool
	Lazy           bool
	NeedApp        bool
	DieOnTerm      bool
	Vacuum         bool
	ExitOnReload   bool
	Procname       string
	ProcnameMaster string
	ProcnamePrefix string // already with its blank for --procname-prefix-spaced
	ProcnameAppend string
	AutoProcname   bool

	Harakiri               time.Duration
	HarakiriVerbose        bool
	WorkerReloadMercy      time.Duration // default 60s
	ReloadMercy            time.Duration // 0: not given
	MaxRequests            int64
	MaxRequestsDelta       int64
	MinWorkerLifetime      time.Duration // default 10s
	MaxWorkerLifetime      time.Duration
	MaxWorkerLifetimeDelta time.Duration
	ReloadOnRSS            int64 // bytes
	ReloadOnAS             int64 // bytes
	ReloadOnException      bool
	TouchReload            []string
	PyAutoreload           time.Duration

	// Python and the application.
	Modules          []string // --module/-w/--wsgi, the last one counts
	WSGIFile         string
	Callable         string
	Eval             string
	Paste            string
	PasteName        string
	PasteLogger      bool
	Mounts           []string // "/path=app" as written
	ManageScriptName bool
	NoDefaultApp     bool
	Home             string // --virtualenv, --home
	PyProgramname    string // path beside which Python finds its venv
	BinaryPath       string // the same, where PyProgramname is empty
	Pythonpath       []string
	PyArgv           string
	Env              []string // KEY=VALUE, or KEY to remove it, applied in order (with ienv, unenv, envdir)
	Unenv            []string // variables that Env leaves removed
	Chdir            string
	Chdir2           string
	Imports          []string // --import: after the app, in each worker
	SharedImports    []string // --shared-import: once, before the fork
	EarlyImports     []string
	Optimize         int
	CatchExceptions  bool
	WSGIStrict       bool
	AcceptBuffer     bool // --wsgi-accept-buffer(s)
	ManageChunked    bool // --wsgi-manage-chunked-input
	DisableFileWrap  bool
	SkipAtexit       bool
	AddHeaders       []string
	DelHeaders       []string
	CollectHeaders   []string // HEADER VARIABLE
	PullHeaders      []string // HEADER VARIABLE; the client does not get them

	StaticConfig
	CGIConfig

	// Files for the server's own answers with these statuses; the first of each that can be read is sent.
	ErrorPages403, ErrorPages404, ErrorPages500 []string
	RoutingConfig
	SupervisedConfig
	CheaperConfig
	ProcessConfig
	PushConfig
	TracingConfig
	PythonConfig
	LoopConfig
	WebsocketConfig
	ZergConfig
	LoggingConfig
	MuleConfig
	AskConfig
	EmperorConfig
	MetricsConfig
	ManagementConfig
	SpoolerConfig
	SharingConfig
	RoutersConfig
	TLSConfig

	IgnoreSigpipe         bool
	IgnoreWriteErrors     bool
	DisableWriteException bool

	UID, GID     string
	AddGIDs      []string
	NoInitgroups bool
	NoOrphans    bool // workers end at once when the master has died
	Locks        int  // of the application's, beside lock 0
	MasterAsRoot bool

	Pidfile, Pidfile2, SafePidfile, SafePidfile2 string
	Daemonize, Daemonize2                        string
	Logto, Logto2                                string
	LogDate                                      string // "": off, "true": ctime, else a strftime format
	DisableLogging                               bool
	LogFormat                                    string
	LogFormatStrftime                            bool
	LogMicros                                    bool
	VHost                                        bool
	LogXForwardedFor                             bool
	Log4xx, Log5xx                               bool
	LogSlow                                      time.Duration
	LogBig                                       int64
	LogZero, LogSendfile, LogIOError             bool
	MemoryReport                                 int
	Stats                                        []string
	MasterFifo                                   []string
	ShowConfig                                   bool
	NoServer                                     bool

	// Envoxy: conf=PATH and mode=NAME given through --set (or an ini's set =, or as plain keys).
	Conf, Mode string

	Magic map[byte]string // what the letters behind a % stand for, at the end of the configuration

	protocol         string // --protocol, for each --socket
	spoolerProcesses int    // --spooler-processes
	abstractSocket   bool   // --abstract-socket: unix sockets outside of the file system
}

// Socket is one address to listen on and the protocol that its clients speak.
type Socket struct {
	Protocol string       // uwsgi, http, http11, http-router (--http), http-to-https, fastcgi, fastcgi-nph, scgi, scgi-nph, puwsgi; those of routers: HTTPFront, RedirectFront, FastFront, RawFront, SSLFront
	Address  string       // host:port, :port, path, @abstract, fd://N, =N (shared socket N)
	TLS      *Certificate // nil: it is spoken in the clear
	Origin   Origin
}

// Pair is one setting as it was given.
type Pair struct {
	Name   string
	Value  string
	Flag   bool // given on the command line without a value
	Origin Origin
}

// Origin says where a setting was written.
type Origin struct {
	Source string // "command line", "environment", or a file name
	Line   int    // 1-based; 0 where lines mean nothing
	Chain  []string
}
