package logging

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// Outputs are the loggers of one configuration, open, and the ways to them.
type Outputs struct {
	plan   *Plan
	queues []*queue // by number; the original is among them and belongs to the Log
	files  []*file  // by number; nil: it is no file
	raise  func(name string, record []byte)
	from   *senders

	using  sync.RWMutex // held for reading while a record finds its way
	closed bool
}

// open opens the loggers of a plan.
func (l *Log) open(plan *Plan) (*Outputs, error) {
	o := &Outputs{plan: plan, raise: l.raise, from: &l.senders, queues: []*queue{l.original}, files: []*file{l.file}}
	for _, logger := range plan.loggers[1:] {
		to, f, err := l.writer(plan, logger)
		if err != nil {
			o.close(time.Now().Add(closeTime))
			return nil, fmt.Errorf("logger %q: %w", logger.Text, err)
		}
		o.queues = append(o.queues, newQueue("logger "+logger.Text, to, l.say, false))
		o.files = append(o.files, f)
	}
	return o, nil
}

// writer makes the writer of one logger, which may be a file.
func (l *Log) writer(plan *Plan, logger uwsgiopts.Logger) (to writer, f *file, err error) {
	switch logger.Kind {
	case "file":
		var o FileOptions
		if o, err = fileOptions(logger.Arguments, plan.dir); err == nil {
			f, err = newFile(o, l.say, l.own)
			to = f
		}
	case "stdio":
		to = forward{l.original}
	case "fd":
		to, err = newDescriptor(logger.Arguments)
	case "socket":
		to, err = newDatagrams(l.socketAddress(plan, logger.Arguments))
	case "rsyslog":
		to, err = newRemoteSyslog(logger.Arguments, plan.packetSize, plan.splitPackets)
	case "syslog":
		to, err = newLocalSyslog(logger.Arguments)
	case "systemd":
		to, err = newSystemJournal(logger.Arguments)
	case "redislog":
		to = newRedis(logger.Arguments)
	case "pipe":
		to = newCommand(logger.Arguments, plan.dir, l.processes)
	default:
		err = fmt.Errorf("there is no logger %q", logger.Kind)
	}
	return to, f, err
}

// socketAddress: paths relate to where files do.
func (l *Log) socketAddress(plan *Plan, arguments string) string {
	address, _, _ := strings.Cut(arguments, ",")
	if strings.Contains(address, ":") || strings.HasPrefix(address, "@") {
		return address
	}
	return plan.path(address)
}

// fileOptions reads PATH, or logfile=PATH,backupname=PATH,maxsize=BYTES.
func fileOptions(arguments, dir string) (FileOptions, error) {
	o := FileOptions{Dir: dir, Path: arguments, Mode: -1, UID: -1, GID: -1}
	if !strings.Contains(arguments, "=") {
		return o, nil
	}
	o.Path = ""
	for part := range strings.SplitSeq(arguments, ",") {
		key, value, _ := strings.Cut(part, "=")
		var err error
		switch key {
		case "logfile":
			o.Path = value
		case "backupname":
			o.Backup = value
		case "maxsize":
			o.MaxSize, err = strconv.ParseInt(value, 10, 64)
		default:
			err = fmt.Errorf("%q is none of logfile, backupname, maxsize", key)
		}
		if err != nil {
			return o, err
		}
	}
	if o.Path == "" {
		return o, fmt.Errorf("logfile= is needed")
	}
	return o, nil
}

// LoggerFile is the file that a logger writes to, as it was written; "": it writes to none.
func LoggerFile(l uwsgiopts.Logger) string {
	if l.Kind != "file" {
		return ""
	}
	o, err := fileOptions(l.Arguments, "")
	if err != nil {
		return ""
	}
	return o.Path
}

// forward writes to another queue.
type forward struct{ to *queue }

func (f forward) write(b *batch) (lost int, err error) {
	return b.each(func(record []byte) error {
		f.to.put(record, true)
		return nil
	})
}

func (forward) close() error { return nil }

// newDescriptor writes to a descriptor that this process was started with.
func newDescriptor(arguments string) (*file, error) {
	if arguments == "" {
		arguments = "2"
	}
	n, err := strconv.Atoi(arguments)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%q is no descriptor", arguments)
	}
	fd, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", n, err)
	}
	return &file{handle: os.NewFile(uintptr(fd), "fd:"+arguments), open: FileOptions.Open}, nil
}

// record sends one record on its way; false: these loggers are closed.
func (o *Outputs) record(s *streamPlan, r *record, patient, alarms bool) bool {
	o.using.RLock()
	defer o.using.RUnlock()
	if o.closed {
		return false
	}
	o.plan.style.pieces(r, func(r *record) { o.send(s, r, patient, alarms) })
	return true
}

// send finds a record's loggers by its text alone, and puts it into form for them.
func (o *Outputs) send(s *streamPlan, r *record, patient, alarms bool) {
	if alarms && o.raise != nil {
		raised(s.alarms, r.text, func(name string) { o.raise(name, r.text) })
	}
	var room [8]int
	loggers := s.rules.loggers(room[:0], r.text)
	text := r.text
	if style := &o.plan.style; !style.Plain() && len(loggers) > 0 {
		text = style.append(nil, r, o.from.find(r.pid))
	}
	for _, number := range loggers {
		o.queues[number].put(encode(s.encoders, o.plan.loggers[number].Name, text, r.at), patient)
	}
}

// eachFile has something done to every file, by its own goroutine.
func (o *Outputs) eachFile(do func(f *file)) {
	for i, f := range o.files {
		if f != nil {
			o.queues[i].order(func() { do(f) })
		}
	}
}

// close closes all loggers but the original, after what waits for them.
func (o *Outputs) close(deadline time.Time) {
	o.using.Lock()
	o.closed = true
	o.using.Unlock()
	for _, q := range o.queues[1:] {
		q.close()
	}
	for _, q := range o.queues[1:] {
		if lost := q.finish(deadline); lost > 0 {
			if c, is := q.to.(*command); is {
				c.kill()
			}
			q.say("*** %d log line(s) lost: %s did not take them before the end ***", lost, q.name)
		}
	}
}
