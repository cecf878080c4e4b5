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

// Begin makes c the context of a new span. parent is that of the caller; one that is not valid: the trace begins here.
func (s *Sampler) Begin(c, parent *Context, ids *Source) {
	if !parent.Valid() {
		ids.begin(c)
		s.decide(c)
		return
	}
	c.Trace, c.Flags = parent.Trace, parent.Flags
	ids.child(c)
	if s.IgnoreCalls {
		s.decide(c)
	}
}

// decide samples by the trace id, as the SDKs' ratio samplers do: whoever has a higher ratio records the trace too.
func (s *Sampler) decide(c *Context) {
	c.Flags &^= Sampled
	if s.Ratio >= 1 || int64(binary.BigEndian.Uint64(c.Trace[8:])>>1) < int64(s.Ratio*math.MaxInt64) {
		c.Flags |= Sampled
	}
}
