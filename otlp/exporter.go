package otlp

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"envoxyd/internal/tracing"
)

const (
	queueLimit = 4096 // spans that wait to be exported; more are dropped
	batchTime  = time.Second
)

// exporter gives spans to the SDK, and says in the log when that does not get rid of them.
type exporter struct {
	log      *log
	endpoint string
	provider *sdk.TracerProvider
	tracer   trace.Tracer

	pending atomic.Int64  // spans that the SDK has
	lost    atomic.Uint64 // spans that were not exported
	told    uint64        // how many of them the log knows of

	mu   sync.Mutex
	down bool // the collector did not take the last batch
}

// take gives a record to the SDK, which exports it later.
func (e *exporter) take(record []byte) {
	span, err := tracing.ParseRecord(bytes.Clone(record)) // what the SDK keeps aliases it
	if err != nil {
		e.log.writef("OTLP: %v", err)
		return
	}
	e.lost.Add(uint64(span.Dropped))
	if e.pending.Load() >= queueLimit {
		e.lost.Add(1)
		return
	}
	e.pending.Add(1)
	e.export(&span)
}

// export makes a span of the SDK's.
func (e *exporter) export(span *tracing.Span) {
	ctx := context.WithValue(context.Background(), idsKey{}, span.Context)
	if span.Parent != [8]byte{} {
		state, _ := trace.ParseTraceState(string(span.State)) // one that is malformed is left out
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: span.Trace, SpanID: span.Parent, TraceFlags: trace.TraceFlags(span.Flags), TraceState: state, Remote: true,
		}))
	}
	start := time.Unix(0, span.Start)
	name, attributes := describeSpan(span)
	_, made := e.tracer.Start(ctx, name, trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKind(span.Kind)), trace.WithAttributes(attributes...))
	setStatus(made, span)
	made.End(trace.WithTimestamp(start.Add(time.Duration(span.Nanos))))
}

// close exports what is there, as long as ctx allows.
func (e *exporter) close(ctx context.Context) {
	if err := e.provider.Shutdown(ctx); err != nil {
		e.lost.Add(uint64(max(e.pending.Load(), 0)))
	}
	if lost := e.lost.Load(); lost > e.told {
		e.log.writef("OTLP: %d span(s) were lost in all", lost)
	}
}

// idsKey is the context's key of a span's own ids.
type idsKey struct{}

// givenIDs has spans get the ids that their senders have given them.
type givenIDs struct{}

// NewIDs implements sdk.IDGenerator.
func (givenIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	c, _ := ctx.Value(idsKey{}).(tracing.Context)
	return c.Trace, c.Span
}

// NewSpanID implements sdk.IDGenerator.
func (givenIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	c, _ := ctx.Value(idsKey{}).(tracing.Context)
	return c.Span
}

// watched is the SDK's exporter. The log has one line when the collector begins not to answer, and one when it does again.
type watched struct {
	sdk.SpanExporter
	e *exporter
}

// ExportSpans implements sdk.SpanExporter.
func (w *watched) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := w.SpanExporter.ExportSpans(ctx, spans)
	w.e.exported(len(spans), err)
	return nil // it has been told
}

// exported notes what has become of a batch.
func (e *exporter) exported(n int, err error) {
	e.pending.Add(-int64(n))
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.lost.Add(uint64(n))
		if !e.down {
			e.log.writef("OTLP: %s does not take spans, which are lost until it does: %v", e.endpoint, err)
		}
		e.down = true
		return
	}
	if e.down {
		e.down, e.told = false, e.lost.Load()
		e.log.writef("OTLP: %s takes spans again; %d were lost", e.endpoint, e.told)
	}
}
