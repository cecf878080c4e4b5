package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"envoxyd/internal/tracing"
)

// messageSpans is the service by which Python makes spans of the messages that it handles: one delivery holds several.
type messageSpans struct{}

// Its operations.
const (
	beginSpan = 1 // the payload is the traceparent of who has sent the message, or nothing; the reply is that of the span
	endSpan   = 2 // the payload is an endedMessage; there is no reply
)

// endedMessage is a message that has been handled, and whose span is sampled.
type endedMessage struct {
	Traceparent string `json:"traceparent"` // of the span
	Parent      string `json:"parent"`      // the sender's; "": the trace begins here
	Topic       string `json:"topic"`
	Server      string `json:"server"` // its key in the configuration
	Nanos       int64  `json:"nanos"`  // how long the handlers have taken
	Failed      bool   `json:"failed"`
}

var errUntraced = errors.New("no spans are exported")

// Call implements service.
func (messageSpans) Call(_ context.Context, operation int, payload []byte, deliver func([]byte)) error {
	if process.tracer == nil {
		return errUntraced
	}
	return process.tracer.ofMessage(process.id, operation, payload, deliver)
}

// Close implements service.
func (messageSpans) Close() {}

// ofMessage begins or ends the span of a message.
func (t *tracer) ofMessage(worker, operation int, payload []byte, deliver func([]byte)) error {
	switch operation {
	case beginSpan:
		parent, _ := tracing.Parse(payload)
		var begun tracing.Context
		t.mu.Lock()
		t.sampler.Begin(&begun, &parent, &t.ids)
		t.mu.Unlock()
		deliver(begun.Append(nil))
		return nil
	case endSpan:
		var m endedMessage
		if err := json.Unmarshal(payload, &m); err != nil {
			return fmt.Errorf("span of a message: %w", err)
		}
		return t.sendMessage(&m, worker)
	}
	return fmt.Errorf("there is no operation %d of spans", operation)
}

// sendMessage sends the span of a message.
func (t *tracer) sendMessage(m *endedMessage, worker int) error {
	own, ok := tracing.Parse([]byte(m.Traceparent))
	if !ok {
		return fmt.Errorf("span of a message: %q is no context", m.Traceparent)
	}
	parent, _ := tracing.Parse([]byte(m.Parent))
	span := tracing.Span{
		Context: own, Parent: parent.Span, Kind: tracing.Consumer, Failed: m.Failed, Name: []byte("process " + m.Topic),
		Start: time.Now().UnixNano() - m.Nanos, Nanos: m.Nanos, Dropped: t.sender.Dropped(),
	}
	record := tracing.AppendAttribute(span.Append(nil), tracing.MessagingTopic, m.Topic)
	record = tracing.AppendAttribute(record, tracing.MessagingServer, m.Server)
	if m.Failed {
		record = tracing.AppendAttribute(record, tracing.ErrorType, "exception")
	}
	t.sender.Send(tracing.AppendAttribute(record, tracing.WorkerID, strconv.Itoa(worker)), span.Dropped)
	return nil
}
