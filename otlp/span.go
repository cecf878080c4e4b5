package otlp

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"envoxyd/internal/tracing"
)

// ended is a span as the SDK's processors and exporters read it: a record, and what is made of it when they ask. A span that the
// SDK's tracer makes is built up first, and costs three times as much.
type ended struct {
	sdk.ReadOnlySpan // one that all have in common: it says the resource and the scope, and that there are no links and events
	span             tracing.Span
	state            trace.TraceState
	limits           *sdk.SpanLimits
}

// pattern returns the span that all have in common.
func pattern(tracer trace.Tracer) sdk.ReadOnlySpan {
	_, span := tracer.Start(context.Background(), "")
	span.End()
	return span.(sdk.ReadOnlySpan)
}

// newEnded is the span of a record that nobody changes any more.
func (e *exporter) newEnded(span *tracing.Span) *ended {
	s := &ended{ReadOnlySpan: e.pattern, span: *span, limits: &e.limits}
	if len(span.State) > 0 {
		s.state, _ = trace.ParseTraceState(string(span.State)) // one that is malformed is left out
	}
	return s
}

// Name implements sdk.ReadOnlySpan.
func (s *ended) Name() string { return spanName(&s.span) }

// SpanContext implements sdk.ReadOnlySpan.
func (s *ended) SpanContext() trace.SpanContext { return s.context(s.span.Span, false) }

// Parent implements sdk.ReadOnlySpan.
func (s *ended) Parent() trace.SpanContext {
	if s.span.Parent == [8]byte{} {
		return trace.SpanContext{}
	}
	return s.context(s.span.Parent, true)
}

func (s *ended) context(id [8]byte, remote bool) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: s.span.Trace, SpanID: id, TraceFlags: trace.TraceFlags(s.span.Flags), TraceState: s.state, Remote: remote,
	})
}

// SpanKind implements sdk.ReadOnlySpan.
func (s *ended) SpanKind() trace.SpanKind { return trace.SpanKind(s.span.Kind) }

// StartTime implements sdk.ReadOnlySpan.
func (s *ended) StartTime() time.Time { return time.Unix(0, s.span.Start) }

// EndTime implements sdk.ReadOnlySpan.
func (s *ended) EndTime() time.Time { return time.Unix(0, s.span.Start+s.span.Nanos) }

// Status implements sdk.ReadOnlySpan.
func (s *ended) Status() sdk.Status {
	if s.span.Failed {
		return sdk.Status{Code: codes.Error}
	}
	return sdk.Status{}
}

// Attributes implements sdk.ReadOnlySpan. There are as many, and they are as long, as the environment allows.
func (s *ended) Attributes() []attribute.KeyValue {
	list := describeSpan(&s.span)
	if limit := s.limits.AttributeCountLimit; limit >= 0 && limit < len(list) {
		list = list[:limit]
	}
	if limit := s.limits.AttributeValueLengthLimit; limit >= 0 {
		for i, a := range list {
			if a.Value.Type() == attribute.STRING {
				list[i].Value = attribute.StringValue(truncate(a.Value.AsString(), limit))
			}
		}
	}
	return list
}

// DroppedAttributes implements sdk.ReadOnlySpan.
func (s *ended) DroppedAttributes() int {
	if limit := s.limits.AttributeCountLimit; limit >= 0 && limit < usual {
		return max(len(describeSpan(&s.span))-limit, 0)
	}
	return 0
}

// truncate returns the first limit characters of a text.
func truncate(text string, limit int) string {
	for at := range text {
		if limit == 0 {
			return strings.Clone(text[:at])
		}
		limit--
	}
	return text
}
