package tracing

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
)

// Source makes ids for one thread, or for whoever locks it. It has a seed of its own: that of Go's runtime is the same in all
// processes that one has forked (AT_RANDOM).
type Source struct{ random rand.PCG }

// NewSource returns a source for this process.
func NewSource() Source {
	var seed [16]byte
	_, _ = crand.Read(seed[:]) // it never fails
	return Source{*rand.NewPCG(binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:]))}
}

// put fills in an id of eight bytes, which are not all zeros.
func (s *Source) put(id []byte) { binary.LittleEndian.PutUint64(id, s.random.Uint64()|1) }
