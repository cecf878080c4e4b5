// Package logging is the log master: it takes the lines of all processes, changes and
// routes them as the options say, and writes them.
//
// A line comes from another process through an inlet, or from the master itself. Rules
// choose its loggers, encoders change it, and each logger has a queue with a goroutine
// of its own, so that none holds up the others. A logger that does not keep up loses
// lines rather than stopping the service; how many is said in the log.
package logging

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// closeTime is how long slow loggers are waited for at the end.
const closeTime = 5 * time.Second

// Options are what a Log is started with.
type Options struct {
	File      FileOptions // of --logto and its kin; Path "": the log is descriptor 2
	Pending   bool        // it could not be opened yet
	Address   string      // HOST:PORT that takes the log instead
	Style     Style
	Processes Processes
	Raise     func(name string, record []byte) // an alarm; must not block
}

// Log is the log of one master. Until Use has been called lines are only kept.
type Log struct {
	late      bool   // its file could not be opened at the start
	original  *queue // what takes lines when there is no logger for them
	file      *file  // the original; nil: it is none
	processes Processes
	raise     func(name string, record []byte)
	senders   senders
	style     atomic.Pointer[Style] // of our own lines
	ticker    *time.Ticker
	done      chan struct{}
	watching  sync.WaitGroup

	mu       sync.Mutex
	current  *Outputs // nil: nothing is open yet
	held     []record
	inlets   map[string]*inlet // by name; made when a plan needs them
	pipes    map[*inlet]bool
	retiring sync.WaitGroup
}

// Start opens the original and begins to take lines.
func Start(o Options) (*Log, error) {
	l := &Log{late: o.Pending, processes: o.Processes, raise: o.Raise, inlets: map[string]*inlet{}, pipes: map[*inlet]bool{}, done: make(chan struct{}), ticker: time.NewTicker(time.Second)}
	l.style.Store(&o.Style)
	to, err := l.openOriginal(o)
	if err != nil {
		return nil, err
	}
	l.original = newQueue("the log", to, l.say, true)
	l.original.own = l.own
	l.watching.Go(l.watch)
	return l, nil
}

func (l *Log) openOriginal(o Options) (writer, error) {
	if o.Address != "" {
		return newDatagrams(o.Address)
	}
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("descriptor 2: %w", err)
	}
	l.file = &file{FileOptions: o.File, say: l.say, own: l.own, open: FileOptions.Open}
	l.file.use(os.NewFile(uintptr(fd), "log"))
	l.file.pending = o.Pending
	return l.file, nil
}

// Late tells whether the log file could not be opened at the start: who is not to write
// elsewhere for ever has to write to the Log.
func (l *Log) Late() bool { return l.late }

// MoveTo goes on in another file, which becomes this process's standard output and error.
func (l *Log) MoveTo(o FileOptions, flags int) error {
	handle, err := o.Open(flags)
	if err != nil && !Unwritable(err) {
		return err
	}
	if l.file == nil {
		handle.Close()
		return nil
	}
	l.original.order(func() {
		o.MaxSize = l.file.MaxSize
		l.file.FileOptions = o
		if err != nil {
			l.file.later(err)
		} else {
			l.file.use(handle)
		}
	})
	return nil
}

// watch tends the files, once a second.
func (l *Log) watch() {
	for {
		select {
		case <-l.done:
			return
		case now := <-l.ticker.C:
			l.eachFile(func(f *file) { f.tend(now) })
		}
	}
}

// say writes a line of our own to the original, whatever the loggers are.
func (l *Log) say(format string, args ...any) {
	l.original.put(l.own(fmt.Appendf(nil, format+"\n", args...)), false)
}

// Style is the form of lines now.
func (l *Log) Style() Style { return *l.style.Load() }

// own puts a line of our own into form.
func (l *Log) own(line []byte) []byte { return l.style.Load().Master(line) }

// Stdio is what processes of a plan's generation get as standard output and error. source is what
// they are: "app", "gateway".
func (l *Log) Stdio(plan *Plan, source string) (*os.File, error) {
	name := "log"
	if plan.stream {
		name = "log stream"
	}
	if plan.style.JSON {
		name += " of " + source
	}
	return l.inlet(name, plan.stream, l.assembler(plan, source, l.line))
}

// WorkerStdio is what workers get in place of Stdio's once they are forked; nil: they keep that.
func (l *Log) WorkerStdio(plan *Plan) (*os.File, error) {
	if plan.workers == nil {
		return nil, nil
	}
	name := "worker log"
	if plan.stream {
		name = "worker log stream"
	}
	if plan.style.JSON {
		name += " of objects"
	}
	return l.inlet(name, plan.stream, l.assembler(plan, sourceApp, l.worker))
}

// assembler makes records of what comes from a source.
func (l *Log) assembler(plan *Plan, source string, take func(r *record, patient, alarms bool)) assembler {
	return assembler{tracebacks: plan.style.JSON, cut: plan.cut, emit: func(pid int32, k kind, text []byte) {
		take(&record{text: text, at: time.Now(), source: source, pid: pid, kind: k}, true, true)
	}}
}

// Requests is what workers write their lines about requests to; nil: to where they write all.
func (l *Log) Requests(plan *Plan) (*os.File, error) {
	switch {
	case plan.requests == nil:
		return nil, nil
	case plan.reqStream:
		return l.inlet("request stream", true, l.assembler(plan, sourceApp, l.request))
	}
	return l.inlet("requests", false, l.assembler(plan, sourceApp, l.request))
}

// Pipe is standard output and error of one command alone. The caller closes it when the
// command has it.
func (l *Log) Pipe(plan *Plan, source string) (*os.File, error) {
	lines := l.assembler(plan, source, l.line)
	lines.cut = 0
	made, err := newPipe("pipe", lines)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.pipes[made] = true
	l.mu.Unlock()
	l.watching.Go(func() { // ends with its reader, at the latest by Close
		made.reader.Wait()
		l.mu.Lock()
		mine := l.pipes[made]
		delete(l.pipes, made)
		l.mu.Unlock()
		if mine {
			made.close()
		}
	})
	return made.theirs, nil
}

// inlet finds the inlet of that name, or makes it.
func (l *Log) inlet(name string, stream bool, lines assembler) (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if there := l.inlets[name]; there != nil {
		return there.theirs, nil
	}
	made, err := newInlet(name, stream, lines, func(n int) {
		l.say("*** %d log record(s) cut: they were longer than log-master-bufsize, or than a record can be without log-master-stream ***", n)
	})
	if err != nil {
		return nil, err
	}
	l.inlets[name] = made
	return made.theirs, nil
}

// Line logs a line of the master's own. It does not wait for slow loggers.
func (l *Log) Line(line []byte) { l.mine(line, true) }

// Quiet is Line for what must not raise an alarm.
func (l *Log) Quiet(line []byte) { l.mine(line, false) }

func (l *Log) mine(line []byte, alarms bool) {
	r := masterRecord(line)
	l.line(&r, false, alarms)
}

// Write makes a Log the output of what writes lines.
func (l *Log) Write(text []byte) (int, error) {
	l.Line(text)
	return len(text), nil
}

func (l *Log) line(r *record, patient, alarms bool) {
	l.deliver(r, patient, alarms, func(p *Plan) *streamPlan { return &p.main })
}

// ready returns the loggers; nil: there are none yet, and the record is kept for them.
func (l *Log) ready(r *record) *Outputs {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil {
		kept := *r
		kept.text = bytes.Clone(r.text)
		l.held = append(l.held, kept)
	}
	return l.current
}

// request takes what workers write to a descriptor for lines about requests.
func (l *Log) request(r *record, patient, alarms bool) {
	r.kind = request
	l.deliver(r, patient, alarms, func(p *Plan) *streamPlan { return p.requests })
}

// worker takes what workers write.
func (l *Log) worker(r *record, patient, alarms bool) {
	l.deliver(r, patient, alarms, func(p *Plan) *streamPlan { return p.workers })
}

// deliver sends a record the way that a plan has for its kind.
func (l *Log) deliver(r *record, patient, alarms bool, way func(p *Plan) *streamPlan) {
	for {
		o := l.ready(r)
		if o == nil {
			return
		}
		how := way(o.plan)
		if how == nil { // all else's, or the generation's whose configuration is no longer ours
			how = &o.plan.main
		}
		if o.record(how, r, patient, alarms) {
			return
		}
	}
}

// Open opens the loggers of a plan.
func (l *Log) Open(plan *Plan) (*Outputs, error) { return l.open(plan) }

// Use sends lines to these loggers from now on, and closes those before.
func (l *Log) Use(o *Outputs) {
	l.mu.Lock()
	before := l.current
	for len(l.held) > 0 {
		held := l.held
		l.held = nil
		l.mu.Unlock() // for alarms, which log
		for i := range held {
			o.record(&o.plan.main, &held[i], false, true)
		}
		l.mu.Lock()
	}
	l.current = o
	l.mu.Unlock()
	l.style.Store(&o.plan.style)
	l.setMaxsize(o.plan)
	if before != nil {
		l.retiring.Go(func() { before.close(time.Now().Add(closeTime)) })
	}
}

// setMaxsize: unlike its name, the size of the log file at most is a reload's to change.
func (l *Log) setMaxsize(plan *Plan) {
	if f := l.file; f != nil {
		l.original.order(func() { f.MaxSize = plan.maxsize })
	}
}

// Discard closes loggers that will not be used.
func (l *Log) Discard(o *Outputs) {
	l.retiring.Go(func() { o.close(time.Now().Add(closeTime)) })
}

// Retire leaves rotation to another master.
func (l *Log) Retire() { l.ticker.Stop() }

// Reopen has all log files opened again.
func (l *Log) Reopen() { l.eachFile(func(f *file) { f.reopen(time.Now()) }) }

// Rotate has all log files moved away and begun anew.
func (l *Log) Rotate() { l.eachFile(func(f *file) { f.rotate(time.Now()) }) }

func (l *Log) eachFile(do func(f *file)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.current != nil:
		l.current.eachFile(do)
	case l.file != nil:
		l.original.order(func() { do(l.file) })
	}
}

// Close takes what has been written so far, and waits for loggers that keep up. What
// nobody had a logger for yet goes to the original.
func (l *Log) Close() {
	l.ticker.Stop()
	close(l.done)
	l.mu.Lock()
	inlets := slices.Collect(maps.Values(l.inlets))
	inlets = slices.AppendSeq(inlets, maps.Keys(l.pipes))
	clear(l.pipes)
	l.mu.Unlock()
	for _, i := range inlets {
		i.close()
	}
	l.watching.Wait()
	deadline := time.Now().Add(closeTime)
	l.mu.Lock()
	current := l.current
	style := l.style.Load()
	for i := range l.held {
		l.original.put(style.append(nil, &l.held[i], l.senders.find(l.held[i].pid)), true)
	}
	l.current, l.held = nil, nil
	l.mu.Unlock()
	if current != nil {
		current.close(deadline)
	}
	l.retiring.Wait()
	if lost := l.original.finish(deadline.Add(time.Second)); lost > 0 {
		_, _ = os.Stderr.Write(l.own(fmt.Appendf(nil, "*** %d log line(s) lost: the log did not take them before the end ***\n", lost)))
	}
}
