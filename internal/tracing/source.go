package tracing

import (
	crand "crypto/rand"
	"encoding/binary"
)

// Source makes ids for one thread, or for whoever locks it: numbers by splitmix64, none of which comes twice. It has a seed of its
// own: that of Go's runtime is the same in all processes that one has forked (AT_RANDOM).
type Source struct {
	state, step uint64
	trace, span uint64 // what ids of this source have to themselves
}

// NewSource returns a source for this process.
func NewSource() Source {
	var seed [4]uint64
	var bytes [8 * len(seed)]byte
	_, _ = crand.Read(bytes[:]) // it never fails
	for i := range seed {
		seed[i] = binary.LittleEndian.Uint64(bytes[8*i:])
	}
	return Source{state: seed[0], step: seed[1] | 1, trace: seed[2], span: seed[3]}
}

// next is a number that has not come before.
func (s *Source) next() uint64 {
	s.state += s.step
	x := s.state
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// begin makes c the root of a trace. Its right-hand half is random; the left-hand one differs from that of the same number elsewhere.
func (s *Source) begin(c *Context) {
	x := s.next()
	binary.LittleEndian.PutUint64(c.Trace[:8], x*0x9e3779b97f4a7c15^s.trace)
	binary.BigEndian.PutUint64(c.Trace[8:], x)
	binary.LittleEndian.PutUint64(c.Span[:], x^s.span|1)
	c.Flags = randomTrace
}

// child gives c a span of its own.
func (s *Source) child(c *Context) { binary.LittleEndian.PutUint64(c.Span[:], s.next()|1) }
