// Package worker is how a request reaches Python: it is loaded into a forked
// python3 as an extension module, and runs its cores.
//
// A core is a Python thread that calls next again and again. Each call finishes
// the previous response and returns with the next request in C memory, made of
// raw system calls on non-blocking descriptors; goroutines do only what would
// hold a core up: requests that come slowly, responses that leave slowly.
package worker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/logtext"
	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
	"envoxyd/internal/snooze"
	"envoxyd/internal/tlsconfig"
	"envoxyd/internal/workerspec"
	"envoxyd/routing"
	"envoxyd/worker/requestlog"
	"envoxyd/worker/sharedmem"
)

// Exit statuses of a worker that the master knows the meaning of; uWSGI's own.
const (
	exitReload = 17 // graceful end for a reload
	exitEnd    = 30 // told to stop, or recycled
)

// lingerOnStop bounds what a stopping worker waits for half-sent requests.
const lingerOnStop = time.Second

// Worker is one worker process: its cores and what they share.
type Worker struct {
	spec      workerspec.Spec
	id        int
	row       int // of the scoreboard, that the cores write
	board     *shm.Board
	reactor   *reactor
	listeners []*listener
	ours      []*listener // those of them that this worker accepts from (--map-socket)

	eventListener *listener // what the gateway's deliveries are taken for

	hostname string
	started  int64    // as reactor.now
	events   *os.File // reports to the master

	line      *requestlog.Line                // how requests are logged
	metric    func(name string) (int64, bool) // for log lines; nil: they tell of none
	caches    *sharedmem.Caches               // nil: there are none
	cacheNews cacheNews                       // what has been told of them
	metrics   metrics

	responders []responder      // of requests that need no application
	files      *files           // one of them; nil: no option asks for files, nor for rules
	routes     *routing.Program // nil: there are no rules
	scripts    *scripts         // CGI programs; nil: there are none
	tracer     *tracer          // nil: no spans are exported
	extra      []byte           // the lines of --add-header, for answers without the application
	removed    [][]byte         // the names of --del-header, likewise

	requestLog int           // descriptor of lines about requests
	lostLines  atomic.Uint64 // that the log did not take
	lostWhy    atomic.Uint32 // the error of the last of them
	tornLine   atomic.Bool   // the log ends with the beginning of a line
	limits     limits        // of errors in the log

	spool   spool    // of large request bodies
	budgets *budgets // of memory and files

	parsers      sync.Pool        // what goroutines parse with; a parser is some 20 KiB
	ready        requestQueue     // requests that goroutines have made whole
	streams      bool             // the application may start before a request's body is there
	vault        *tlsconfig.Vault // of certificates and keys; nil: there is none
	carrying     atomic.Int64     // connections of TLS that goroutines carry
	receiving    atomic.Int64     // requests that goroutines are making whole
	sending      atomic.Int64     // responses that goroutines are sending
	errands      atomic.Int64     // requests that are answered off the cores
	forwarding   atomic.Int64     // those of them that other servers answer
	spareRouted  sync.Pool        // of slots whose own is with an errand
	served       atomic.Uint64    // requests of this process
	staticServed atomic.Uint64    // those of them that were answered without the application

	phase    atomic.Int32 // serving, reloading or stopping
	drainFor atomic.Int64 // when idle connections are dropped, as reactor.now
	status   atomic.Int32
	asked    atomic.Bool // the master, to be recycled
	limit    uint64      // requests after which the worker ends; 0: never

	paused atomic.Bool // by SIGTSTP: connections are left waiting

	calls   *calls       // of services
	tallies *shm.Tallies // nil: nothing is counted there

	bell       *snooze.Bell // wakes the watch: rung when a slot goes to the application
	watchStart sync.Once
	wakeup     [2]int // a pipe that Python's signal handlers write to, for core 0
}

// Phases of a worker's life. Reloading and stopping differ in how long idle
// connections are waited for: another generation answers during a reload.
const (
	serving int32 = iota
	reloading
	stopping
)

// New makes the worker with the given number of cores, whose memory io is. caches are for rules; nil: there are none.
func New(document []byte, id int, io []coreIO, caches *sharedmem.Caches) (*Worker, error) {
	w := &Worker{id: id, started: monotime.Now(), caches: caches}
	if err := json.Unmarshal(document, &w.spec); err != nil {
		return nil, fmt.Errorf("worker specification: %w", err)
	}
	w.streams = w.spec.Loop.ASGI() && w.spec.Limits.PostBuffering <= 0
	runtime.GOMAXPROCS(max(w.spec.Threads, 1) + 2) // the cores' threads, the watch's naps, and one for all goroutines
	signal.Ignore(syscall.SIGPIPE)                 // Go would end the process on EPIPE at descriptors 1 and 2
	board, err := shm.OpenBoard(w.spec.ScoreboardFD, len(io))
	if err != nil {
		return nil, err
	}
	w.board, w.row = board, cmp.Or(w.spec.Row, id)
	w.paused.Store(board.Paused(w.row))
	if err := w.openTallies(); err != nil {
		return nil, err
	}
	w.events = os.NewFile(uintptr(w.spec.EventFD), "events")
	w.hostname = w.spec.Python.Hostname
	w.spool = w.newSpool()
	w.budgets = newBudgets(&w.spec.Limits, board, w.row)
	if err := w.ready.init(); err != nil {
		return nil, fmt.Errorf("request queue: %w", err)
	}
	if err := unix.Pipe2(w.wakeup[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("wake-up pipe: %w", err)
	}
	w.calls = newCalls(&board.Core(w.row, 0).Calls, w.wakeup[0])
	if limit := w.spec.Limits.MaxRequests; limit > 0 {
		w.limit = uint64(limit + int64(id-1)*w.spec.Limits.MaxRequestsDelta)
	}
	if err := w.prepareLog(); err != nil {
		return nil, err
	}
	w.extra = extraFields(w.spec.Python.AddHeaders)
	w.removed = removedNames(w.spec.Python.DelHeaders)
	w.scripts = newScripts(w)
	files, err := newFiles(&w.spec)
	if err != nil {
		return nil, err
	}
	if files != nil {
		w.files = files
		w.responders = append(w.responders, files)
	}
	if len(w.spec.Routes) > 0 {
		if w.routes, err = routing.Compile(w.spec.Routes); err != nil {
			return nil, err
		}
		if err := w.metrics.open(w.spec.MetricsFD); err != nil {
			return nil, err
		}
	}
	w.tracer = newTracer(w.spec.Tracing)
	if w.spec.VaultFD >= 0 {
		if w.vault, err = tlsconfig.OpenVault(w.spec.VaultFD); err != nil {
			return nil, err
		}
	}
	for i, socket := range w.spec.Sockets {
		l, err := newListener(w, i, socket)
		if err != nil {
			return nil, err
		}
		w.listeners = append(w.listeners, l)
		if len(socket.Workers) == 0 || slices.Contains(socket.Workers, id) {
			w.ours = append(w.ours, l)
		}
	}
	w.eventListener = newEventListener(w, len(w.listeners))
	if w.reactor, err = newReactor(w, io); err != nil {
		return nil, err
	}
	w.handleSignals()
	w.watchMaster()
	w.startWatch()
	return w, nil
}

// Ready reports to the master that the application is loaded and cores will serve.
func (w *Worker) Ready() { w.report(workerspec.Event{Kind: "ready"}) }

func (w *Worker) report(event workerspec.Event) {
	_ = w.tell(event) // a master that has left gets no reports; watchMaster ends the worker then
}

// tell is report for what somebody else wants to be reported.
func (w *Worker) tell(event workerspec.Event) error {
	event.Worker, event.PID = w.id, os.Getpid()
	text, err := json.Marshal(event)
	if err == nil {
		_, err = syscall.Write(w.spec.EventFD, text)
	}
	return err
}

// Stop ends the worker with the given status once what is in flight is done.
func (w *Worker) Stop(phase int32, status int) {
	if w.phase.Load() >= phase {
		return
	}
	w.status.Store(int32(status))
	linger := w.socketTimeout()
	if phase == stopping {
		linger = min(linger, lingerOnStop)
	}
	if phase == reloading {
		w.logf("Gracefully killing worker %d (pid: %d)...", w.id, os.Getpid())
	}
	w.drainFor.Store(monotime.Now() + int64(linger))
	w.phase.Store(phase)
	w.report(workerspec.Event{Kind: "stopping"})
	if phase == stopping {
		w.reactor.endWebsockets()
	}
	setLeaving()
	w.endHTTP2()
	w.reactor.wake()
}

// Status is what the process is to exit with.
func (w *Worker) Status() int { return int(w.status.Load()) }

func (w *Worker) socketTimeout() time.Duration {
	return time.Duration(w.spec.Limits.SocketTimeoutMillis) * time.Millisecond
}

// handleSignals takes the signals that uWSGI's workers take: HUP ends after the
// current requests, INT and TERM do too; the others do not end the worker.
func (w *Worker) handleSignals() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTSTP, syscall.SIGWINCH, workerspec.EndCalls)
	go func() { // lives as long as the process
		for s := range signals {
			switch s {
			case syscall.SIGHUP:
				w.Stop(reloading, exitReload)
			case syscall.SIGINT, syscall.SIGTERM:
				w.Stop(stopping, exitEnd)
			case syscall.SIGTSTP:
				w.pause(w.board.Paused(w.row))
			case syscall.SIGUSR2:
				w.logRequestsInHand()
			case workerspec.EndCalls:
				w.calls.end(errKilled)
			}
		}
	}()
}

// pause has the cores leave the listeners alone, or take them up again.
func (w *Worker) pause(on bool) {
	w.paused.Store(on)
	w.reactor.wake()
}

func (w *Worker) logRequestsInHand() {
	for i := range w.reactor.slots {
		line := w.board.Core(w.row, i)
		if line.State.Load() == shm.Busy {
			since := monotime.Time(line.Since.Load())
			_, request, _ := strings.Cut(line.Request(), " - ")
			_, uri, _ := strings.Cut(request, " ")
			w.logf("SIGUSR2: --- uWSGI worker %d core %d (pid: %d) is managing request %s since %s ---", w.id, i, os.Getpid(), uri, since.Format(time.ANSIC))
		}
	}
}

// watchMaster ends the worker when the master is gone: the pipe's only writer was its.
func (w *Worker) watchMaster() {
	_ = unix.SetNonblock(w.spec.AliveFD, true) // else it only takes a thread of its own
	alive := os.NewFile(uintptr(w.spec.AliveFD), "alive")
	go func() { // lives as long as the process
		var b [1]byte
		for {
			if n, err := alive.Read(b[:]); n == 0 && err != nil {
				break
			}
		}
		w.logf("uWSGI worker %d error: the master disconnected from this worker. Shutting down the worker.", w.id)
		if w.spec.Process.NoOrphans {
			os.Exit(exitEnd)
		}
		w.Stop(stopping, exitEnd)
	}()
}

// logf writes one line of the server's own to the log, whatever clients have put into args.
func (w *Worker) logf(format string, args ...any) {
	line := w.mark(nil, 2, workerspec.LineMark)
	line = append(logtext.Append(line, fmt.Appendf(nil, format, args...)), '\n')
	w.writeLog(2, line)
}
