package tracing

import (
	"encoding/binary"
	"math"
)

// Sampler decides which traces are recorded.
type Sampler struct {
	Ratio       float64 `json:"ratio"`        // of the traces that begin here
	IgnoreCalls bool    `json:"ignore_calls"` // what the caller has decided does not count either
}

// Span begins a span. parent is that of the caller; one that is not valid: the trace begins here.
func (s Sampler) Span(parent *Context, ids *Source) (c Context) {
	if !parent.Valid() {
		ids.put(c.Trace[:8], c.Trace[8:], c.Span[:])
		c.Flags = randomTrace
		return s.decide(c)
	}
	c = *parent
	ids.put(c.Span[:])
	if s.IgnoreCalls {
		return s.decide(c)
	}
	return c
}

// decide samples by the trace id, as the SDKs' ratio samplers do: whoever has a higher ratio records the trace too.
func (s Sampler) decide(c Context) Context {
	c.Flags &^= Sampled
	if s.Ratio >= 1 || binary.BigEndian.Uint64(c.Trace[8:])>>1 < uint64(s.Ratio*math.MaxInt64) {
		c.Flags |= Sampled
	}
	return c
}
