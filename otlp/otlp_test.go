package otlp

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

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
	e := &exporter{log: &log{to: out}, endpoint: "http://collector", queue: usualQueue, limits: sdk.NewSpanLimits()}
	e.processor = sdk.NewSimpleSpanProcessor(&watched{SpanExporter: to, e: e})
	e.pattern = pattern(sdk.NewTracerProvider(sdk.WithSampler(sdk.AlwaysSample())).Tracer("test"))
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
	e.pending.Store(usualQueue)
	e.take(record(nil))
	e.take([]byte("no record"))
	e.close(t.Context())
	if to.took != 0 || !strings.Contains(said(), "1 span(s) were lost in all") || !strings.Contains(said(), "no record") {
		t.Errorf("%d were taken; the log says %q", to.took, said())
	}
}

func TestTheLogIsToldThatSpansComeTooFast(t *testing.T) {
	out, said := logFile(t)
	e := made(t, &failing{}, out)
	for range 3 {
		e.take(record(func(s *tracing.Span) { s.Dropped = 2 }))
	}
	e.toldAt = e.toldAt.Add(-tellAgain)
	e.take(record(nil))
	e.close(t.Context())
	if got := strings.Split(strings.TrimSpace(said()), "\n"); len(got) != 2 || !strings.HasPrefix(got[0], "OTLP: 2 span(s) were lost") || !strings.HasPrefix(got[1], "OTLP: 4 span(s)") {
		t.Errorf("the log says %q", got)
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

func TestBatchesAreAsTheEnvironmentSays(t *testing.T) {
	for _, c := range []struct {
		env   map[string]string
		delay time.Duration
		queue int
	}{
		{nil, usualDelay, usualQueue},
		{map[string]string{"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_BSP_MAX_QUEUE_SIZE": "50"}, 0, 50},
		{map[string]string{"OTEL_BSP_MAX_QUEUE_SIZE": "0"}, usualDelay, usualQueue},
		{map[string]string{"OTEL_BSP_MAX_QUEUE_SIZE": "many"}, usualDelay, usualQueue},
	} {
		options, queue := batching(func(name string) string { return c.env[name] })
		var got sdk.BatchSpanProcessorOptions // those of the environment are left to the SDK
		for _, option := range options {
			option(&got)
		}
		if got.BatchTimeout != c.delay || queue != int64(c.queue) || got.MaxQueueSize != 0 && got.MaxQueueSize != c.queue {
			t.Errorf("%v: %+v, %d spans may wait", c.env, got, queue)
		}
	}
}

func TestAttributesAreAsManyAndAsLongAsTheEnvironmentAllows(t *testing.T) {
	t.Setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")
	t.Setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
	to := tracetest.NewInMemoryExporter()
	out, _ := logFile(t)
	e := made(t, to, out)
	sent := tracing.AppendAttribute(record(nil), tracing.Scheme, "a\u00fc\u20acb")
	sent = tracing.AppendAttribute(sent, tracing.StatusCode, "200")
	e.take(sent)
	got := to.GetSpans()[0]
	if want := []attribute.KeyValue{semconv.URLPath("/x"), semconv.URLScheme("a\u00fc\u20ac")}; !slices.Equal(got.Attributes, want) || got.DroppedAttributes != 1 {
		t.Errorf("%v and %d more, want %v and 1", got.Attributes, got.DroppedAttributes, want)
	}
}

// BenchmarkSpan is what a span costs until it is what protocol buffers are made of.
func BenchmarkSpan(b *testing.B) {
	e := &exporter{queue: usualQueue, limits: sdk.NewSpanLimits(), processor: &batches{exporter: otlptrace.NewUnstarted(nowhere{})}}
	e.pattern = pattern(sdk.NewTracerProvider(sdk.WithSampler(sdk.AlwaysSample())).Tracer("test"))
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

// batches exports as many spans at once as the SDK does.
type batches struct {
	sdk.SpanProcessor
	exporter *otlptrace.Exporter
	spans    []sdk.ReadOnlySpan
}

func (b *batches) OnEnd(span sdk.ReadOnlySpan) {
	if b.spans = append(b.spans, span); len(b.spans) == sdk.DefaultMaxExportBatchSize {
		_ = b.exporter.ExportSpans(context.Background(), b.spans)
		b.spans = b.spans[:0]
	}
}

// nowhere forgets spans.
type nowhere struct{ otlptrace.Client }

func (nowhere) UploadTraces(context.Context, []*tracepb.ResourceSpans) error { return nil }
