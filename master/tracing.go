package master

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"syscall"
	"time"

	"envoxyd/internal/respawn"
	"envoxyd/internal/tracing"
	"envoxyd/internal/workerspec"
	"envoxyd/master/privileges"
	"envoxyd/uwsgiopts"
)

const (
	otlpProgram = "envoxyd-otlp"
	spansRoom   = 4 << 20         // of the socket that spans go through, bytes, if the kernel lets us
	flushTime   = 3 * time.Second // at a stop, for spans that are not exported yet
	flushExtra  = time.Second     // that the process gets to end beyond that
)

// otlpBackoff is how fast an exporting process that keeps dying is replaced.
var otlpBackoff = respawn.Policy{Healthy: time.Minute, First: 50 * time.Millisecond, Max: 10 * time.Second}

// tracer is the process that exports spans. It stays through reloads, unless what it is told changes.
type tracer struct {
	m       *master
	plan    *tracerPlan // nil: no spans are exported
	cmd     *exec.Cmd   // nil: there is no process
	control *os.File
	leaving bool // it exports what it has; what comes after it is started when it has gone
	started time.Time
	backoff respawn.Backoff
}

// tracerPlan is what the process is started with.
type tracerPlan struct {
	spec       tracing.Spec // without descriptors
	credential *syscall.Credential
	dir        string
}

func newTracer(m *master) *tracer {
	return &tracer{m: m, backoff: respawn.Backoff{Policy: otlpBackoff}}
}

// addTracing has workers make spans.
func (g *generation) addTracing(i *inheritance, spec *workerspec.Spec) error {
	if !g.cfg.OTLP {
		return nil
	}
	sampler, err := samplerOf(g.cfg, os.Getenv)
	if err != nil {
		return err
	}
	_, in, err := g.m.spans()
	if err != nil {
		return err
	}
	spec.Tracing = &workerspec.Tracing{FD: i.add(in.Fd()), Sampler: sampler}
	return nil
}

// spans is the socket that they go through, which is kept over reloads and upgrades.
func (m *master) spans() (out, in *os.File, err error) { return m.owned.kept.Pipe("spans", spansRoom) }

// samplerOf is what decides which traces are recorded: the options, else the environment, as OpenTelemetry's SDKs read it.
func samplerOf(c *uwsgiopts.Config, getenv func(string) string) (s tracing.Sampler, err error) {
	s.Ratio = 1
	name := getenv("OTEL_TRACES_SAMPLER")
	if c.OTLPSampled {
		name, s.Ratio = "parentbased_traceidratio", c.OTLPSample
	}
	switch name {
	case "", "parentbased_always_on":
	case "always_on":
		s.IgnoreCalls = true
	case "always_off":
		s.IgnoreCalls, s.Ratio = true, 0
	case "parentbased_always_off":
		s.Ratio = 0
	case "traceidratio", "parentbased_traceidratio":
		s.IgnoreCalls = name == "traceidratio"
		if text := getenv("OTEL_TRACES_SAMPLER_ARG"); text != "" && !c.OTLPSampled {
			if s.Ratio, err = strconv.ParseFloat(text, 64); err != nil || !(s.Ratio >= 0 && s.Ratio <= 1) {
				return s, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q is not between 0 and 1", text)
			}
		}
	default:
		return s, fmt.Errorf("OTEL_TRACES_SAMPLER: there is no sampler %q; say otlp-sample", name)
	}
	return s, nil
}

// newTracerPlan is nil where no spans are exported.
func newTracerPlan(g *generation) (*tracerPlan, error) {
	c := g.cfg
	if !c.OTLP {
		return nil, nil
	}
	credential, err := privileges.Of(c).Credential()
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	for _, h := range c.OTLPHeaders {
		headers[h.Name] = h.Value
	}
	return &tracerPlan{
		spec: tracing.Spec{
			Endpoint: c.OTLPEndpoint, Service: c.OTLPService, Headers: headers, Version: uwsgiopts.Version,
			Instance: instanceUUID(g.m.started), StopMillis: millis(flushTime),
		},
		credential: credential, dir: appDir(g.hooks, c),
	}, nil
}

// follow has the process be that of a generation.
func (t *tracer) follow(g *generation) {
	if t.m.life.stopping || t.m.life.upgraded {
		return
	}
	plan, err := newTracerPlan(g)
	if err != nil {
		logf("OTLP: %v", err)
		return
	}
	if reflect.DeepEqual(plan, t.plan) {
		return
	}
	t.plan = plan
	if t.cmd != nil {
		t.dismiss()
		return
	}
	t.start()
}

func (t *tracer) start() {
	if t.plan == nil || t.cmd != nil || t.m.life.stopping || t.m.life.upgraded {
		return
	}
	t.started = t.m.sys.now()
	if err := t.spawn(); err != nil {
		logf("OTLP exporter: %v", err)
		t.retry()
	}
}

func (t *tracer) spawn() error {
	spans, _, err := t.m.spans()
	if err != nil {
		return err
	}
	ours, theirs, err := messagePair("control")
	if err != nil {
		return err
	}
	defer theirs.Close()
	spec := t.plan.spec
	spec.ControlFD, spec.SpansFD = firstFD+1, firstFD+2
	cmd, err := t.m.commands.startCompanion(otlpProgram, spec, []*os.File{theirs, spans}, t.plan.dir, t.plan.credential)
	if err != nil {
		ours.Close()
		return err
	}
	t.cmd, t.control, t.leaving = cmd, ours, false
	logf("spawned OTLP exporter (pid: %d)", cmd.Process.Pid)
	go func() { // ends with the process; a master that has finished does not wait for it
		err := t.m.commands.wait(cmd)
		t.m.post(func(*master) { t.ended(err) })
	}()
	return nil
}

// dismiss has the process export what it has, and kills one that takes too long.
func (t *tracer) dismiss() {
	if t.cmd == nil || t.leaving {
		return
	}
	t.leaving = true
	tell(t.control, "stop")
	cmd := t.cmd
	t.m.after(flushTime+flushExtra, func(*master) {
		if t.cmd == cmd {
			t.hurry()
		}
	})
}

// hurry ends one that is to end without waiting for the collector.
func (t *tracer) hurry() {
	if t.cmd != nil && t.leaving {
		_ = t.cmd.Process.Kill()
	}
}

// gone: there is no process.
func (t *tracer) gone() bool { return t.cmd == nil }

func (t *tracer) ended(err error) {
	pid, leaving := t.cmd.Process.Pid, t.leaving
	t.cmd = nil
	t.control.Close()
	switch {
	case t.m.life.stopping || t.m.life.upgraded:
		return
	case leaving:
		t.start()
		return
	}
	logf("DAMN ! OTLP exporter (pid: %d) died (%v) :( trying respawn ...", pid, err)
	t.retry()
}

// retry starts the process again, after a pause that grows with each death in a row.
func (t *tracer) retry() {
	t.m.after(t.backoff.Ended(t.m.sys.now().Sub(t.started)), func(*master) { t.start() })
}
