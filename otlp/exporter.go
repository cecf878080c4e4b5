package otlp

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"envoxyd/internal/tracing"
)

// What of the batches is not the SDK's default, where the environment says nothing of it.
const (
	usualQueue = 4096 // spans that wait to be exported; more are dropped
	usualDelay = time.Second
)

// tellAgain is how long the log does not hear of spans that are lost while others are exported, after it has heard of some.
const tellAgain = time.Minute

// exporter gives spans to the SDK, and says in the log when that does not get rid of them.
type exporter struct {
	log       *log
	endpoint  string
	processor sdk.SpanProcessor // gathers spans and exports them
	pattern   sdk.ReadOnlySpan  // what spans have in common
	limits    sdk.SpanLimits
	queue     int64 // the most spans that wait

	pending atomic.Int64  // spans that the SDK has
	lost    atomic.Uint64 // spans that were not exported
	told    uint64        // how many of them the log knows of

	mu     sync.Mutex
	down   bool      // the collector did not take the last batch
	toldAt time.Time // when the log has heard that spans come too fast
}

// batching is how spans are gathered, and how many of them may wait.
func batching(getenv func(string) string) (options []sdk.BatchSpanProcessorOption, queue int64) {
	queue, err := strconv.ParseInt(getenv("OTEL_BSP_MAX_QUEUE_SIZE"), 10, 32)
	if err != nil || queue <= 0 {
		queue = usualQueue
		options = append(options, sdk.WithMaxQueueSize(usualQueue))
	}
	if getenv("OTEL_BSP_SCHEDULE_DELAY") == "" {
		options = append(options, sdk.WithBatchTimeout(usualDelay))
	}
	return options, queue
}

// take gives a record to the SDK, which exports it later.
func (e *exporter) take(record []byte) {
	span, err := tracing.ParseRecord(bytes.Clone(record)) // what the SDK keeps aliases it
	if err != nil {
		e.log.writef("OTLP: %v", err)
		return
	}
	e.lost.Add(uint64(span.Dropped))
	if e.pending.Load() >= e.queue {
		e.lost.Add(1)
		return
	}
	e.pending.Add(1)
	e.processor.OnEnd(e.newEnded(&span))
}

// close exports what is there, as long as ctx allows.
func (e *exporter) close(ctx context.Context) {
	if err := e.processor.Shutdown(ctx); err != nil {
		e.lost.Add(uint64(max(e.pending.Load(), 0)))
	}
	if lost := e.lost.Load(); lost > e.told {
		e.log.writef("OTLP: %d span(s) were lost in all", lost)
	}
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
	lost := e.lost.Load()
	switch {
	case e.down:
		e.down = false
		e.log.writef("OTLP: %s takes spans again; %d were lost", e.endpoint, lost)
	case lost > e.told && time.Since(e.toldAt) >= tellAgain:
		e.toldAt = time.Now()
		e.log.writef("OTLP: %d span(s) were lost: they come faster than %s takes them", lost-e.told, e.endpoint)
	default:
		return
	}
	e.told = lost
}
