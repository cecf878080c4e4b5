package otlp

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"envoxyd/internal/tracing"
)

// failing is a collector that fails while it is told to.
type failing struct {
	tracetest.InMemoryExporter
	mu   sync.Mutex
	fail error
	took int
}

func (f *failing) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.took += len(spans)
	return nil
}

func record(change func(*tracing.Span)) []byte {
	c, _ := tracing.Parse([]byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	span := tracing.Span{Context: c, Kind: tracing.Server, Start: 1e18, Nanos: 1000, Name: []byte("GET")}
	if change != nil {
		change(&span)
	}
	return tracing.AppendAttribute(span.Append(nil), tracing.Path, "/x")
}

// made is an exporter whose spans another one gets, at once.
func made(t *testing.T, to sdk.SpanExporter, out *os.File) *exporter {
	t.Helper()
	e := &exporter{log: &log{to: out}, endpoint: "http://collector"}
	e.provider = sdk.NewTracerProvider(sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(givenIDs{}), sdk.WithSyncer(&watched{SpanExporter: to, e: e}))
	e.tracer = e.provider.Tracer("test")
	return e
}

func logFile(t *testing.T) (*os.File, func() string) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file, func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func TestSpansAreWhatTheirRecordsSay(t *testing.T) {
	to := tracetest.NewInMemoryExporter()
	out, _ := logFile(t)
	e := made(t, to, out)
	e.take(record(nil))
	e.take(record(func(s *tracing.Span) {
		s.Parent, s.State, s.Failed, s.Name = [8]byte{7}, []byte("a=1"), true, []byte("\xff")
	}))
	spans := to.GetSpans()
	if len(spans) != 2 {
		t.Fatalf("there are %d spans", len(spans))
	}
	root, child := spans[0], spans[1]
	if root.SpanContext.TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" || root.SpanContext.SpanID().String() != "00f067aa0ba902b7" ||
		root.Parent.IsValid() || root.Name != "GET" || !root.StartTime.Equal(time.Unix(0, 1e18)) || root.EndTime.Sub(root.StartTime) != 1000 {
		t.Errorf("%+v", root)
	}
	if child.Parent.SpanID().String() != "0700000000000000" || child.SpanContext.SpanID() != root.SpanContext.SpanID() ||
		child.SpanContext.TraceState().String() != "a=1" || child.Status.Code.String() != "Error" || child.Name != "\ufffd" {
		t.Errorf("%+v", child)
	}
}

func TestTheLogIsToldOnceThatTheCollectorFails(t *testing.T) {
	to := &failing{fail: errors.New("no\nroute")}
	out, said := logFile(t)
	e := made(t, to, out)
	for range 3 {
		e.take(record(func(s *tracing.Span) { s.Dropped = 10 }))
	}
	to.fail = nil
	e.take(record(nil))
	e.close(t.Context())
	if got := strings.Split(strings.TrimSpace(said()), "\n"); len(got) != 2 || !strings.Contains(got[0], "no route") || !strings.Contains(got[1], "; 33 were lost") {
		t.Errorf("the log says %q", got)
	}
	if to.took != 1 {
		t.Errorf("%d spans were taken", to.took)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	to := &failing{}
	out, said := logFile(t)
	e := made(t, to, out)
	e.pending.Store(queueLimit)
	e.take(record(nil))
	e.take([]byte("no record"))
	e.close(t.Context())
	if to.took != 0 || !strings.Contains(said(), "1 span(s) were lost in all") || !strings.Contains(said(), "no record") {
		t.Errorf("%d were taken; the log says %q", to.took, said())
	}
}

func TestWhereSpansArePosted(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://h:4318":            "http://h:4318/v1/traces",
		"http://h:4318/":           "http://h:4318/v1/traces",
		"https://h/otlp":           "https://h/otlp/v1/traces",
		"https://h/otlp/v1/traces": "https://h/otlp/v1/traces",
	} {
		if got, err := tracesURL(endpoint); err != nil || got != want {
			t.Errorf("%s: %s, %v", endpoint, got, err)
		}
	}
}

// BenchmarkTake is what a span costs until the SDK has it.
func BenchmarkTake(b *testing.B) {
	e := &exporter{provider: sdk.NewTracerProvider(sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(givenIDs{}), sdk.WithSpanProcessor(nowhere{}))}
	e.tracer = e.provider.Tracer("test")
	sent := record(nil)
	for key, value := range map[tracing.Attribute]string{
		tracing.Path: "/things/1", tracing.Scheme: "http", tracing.ServerAddress: "localhost", tracing.ServerPort: "8080",
		tracing.ClientAddress: "127.0.0.1", tracing.Protocol: "HTTP/1.1", tracing.StatusCode: "200", tracing.WorkerID: "1",
	} {
		sent = tracing.AppendAttribute(sent, key, value)
	}
	b.ReportAllocs()
	for b.Loop() {
		e.take(sent)
		e.pending.Store(0)
	}
}

// nowhere forgets spans.
type nowhere struct{ sdk.SpanProcessor }

func (nowhere) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (nowhere) OnEnd(sdk.ReadOnlySpan)                     {}
