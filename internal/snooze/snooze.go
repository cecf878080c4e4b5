// Package snooze is for a loop that looks after others while they are busy and sleeps while
// they are not: waking it costs those who are busy one read of a flag.
package snooze

import "sync/atomic"

// Bell wakes one sleeper. Everybody may ring it; one goroutine may sleep.
type Bell struct {
	asleep atomic.Bool
	ring   chan struct{}
}

// New returns a bell whose sleeper is awake.
func New() *Bell { return &Bell{ring: make(chan struct{}, 1)} }

// Ring wakes the sleeper if it sleeps.
func (b *Bell) Ring() {
	if b.asleep.Load() && b.asleep.CompareAndSwap(true, false) {
		select {
		case b.ring <- struct{}{}:
		default:
		}
	}
}

// Asleep tells whether the sleeper sleeps.
func (b *Bell) Asleep() bool { return b.asleep.Load() }

// Sleep waits for the bell; false: done was closed before. A nil done never is. It does not sleep
// while busy says that there is something to look after: who began just before the sleeper was
// seen to sleep has not rung.
func (b *Bell) Sleep(done <-chan struct{}, busy func() bool) bool {
	b.asleep.Store(true)
	if busy() && b.asleep.CompareAndSwap(true, false) {
		return true
	}
	select {
	case <-b.ring:
		return true
	case <-done:
		return false
	}
}
