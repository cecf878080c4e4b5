package tracing

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// Source makes ids. It has a seed of its own: that of Go's runtime is the same in all processes that one has forked (AT_RANDOM).
type Source struct {
	mu     sync.Mutex
	random *rand.ChaCha8
}

// NewSource returns a source for this process.
func NewSource() *Source {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // it never fails
	return &Source{random: rand.NewChaCha8(seed)}
}

// put fills in ids of eight bytes, none of which is zeros alone.
func (s *Source) put(ids ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		binary.LittleEndian.PutUint64(id, s.random.Uint64()|1)
	}
}
