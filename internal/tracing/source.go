package tracing

import (
	crand "crypto/rand"
	"encoding/binary"
)

// Source makes ids for one thread, or for whoever locks it: numbers by splitmix64, none of which comes twice. It has a seed of its
// own: that of Go's runtime is the same in all processes that one has forked (AT_RANDOM).
type Source struct {
	state, step uint64
	left        [8]byte  // half of the id of each trace that begins here: what others begin differs in it
	leftDigits  [16]byte // the same as text
}

// NewSource returns a source for this process.
func NewSource() Source {
	var seed [24]byte
	_, _ = crand.Read(seed[:]) // it never fails
	s := Source{state: binary.LittleEndian.Uint64(seed[:]), step: binary.LittleEndian.Uint64(seed[8:]) | 1, left: [8]byte(seed[16:])}
	putHex(s.leftDigits[:8], s.left[:4])
	putHex(s.leftDigits[8:], s.left[4:])
	return s
}

// next is a number that has not come before.
func (s *Source) next() uint64 {
	s.state += s.step
	x := s.state
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// begin makes c the root of a trace. The right-hand half of its id is random, and is the id of the span, too.
func (s *Source) begin(c *Context) {
	x := max(s.next(), 1)
	copy(c.Trace[:8], s.left[:])
	binary.BigEndian.PutUint64(c.Trace[8:], x)
	binary.BigEndian.PutUint64(c.Span[:], x)
	c.Flags = randomTrace
}

// child gives c a span of its own.
func (s *Source) child(c *Context) { binary.LittleEndian.PutUint64(c.Span[:], s.next()|1) }

// Put writes the traceparent of c, as c does: sooner if c has begun here.
func (s *Source) Put(c *Context, text *[Size]byte) {
	if [8]byte(c.Trace[:8]) != s.left || [8]byte(c.Trace[8:]) != c.Span {
		c.Put(text)
		return
	}
	c.putFrame(text)
	*(*[16]byte)(text[3:]) = s.leftDigits
	putHex(text[19:], c.Span[:4])
	putHex(text[27:], c.Span[4:])
	*(*[16]byte)(text[36:]) = [16]byte(text[19:])
}
