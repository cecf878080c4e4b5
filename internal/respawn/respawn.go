// Package respawn spaces out the starts of something that keeps ending.
package respawn

import "time"

// Policy is how long to wait before each start of a row of short lives.
type Policy struct {
	Healthy time.Duration // whoever lives longer than this ends the row, and is replaced at once
	Free    int           // ends in a row that cost no wait
	First   time.Duration // the first wait
	Max     time.Duration // the longest wait
	Linear  bool          // each wait is First longer than the one before; else twice as long
}

// Backoff counts the short lives of one thing. Its zero value with a Policy is ready to
// use; it is not safe for concurrent use.
type Backoff struct {
	Policy
	row int
}

// Ended notes an end after a life of the given length and returns how long to wait before the next start.
func (b *Backoff) Ended(lived time.Duration) time.Duration {
	if lived > b.Healthy {
		b.row = 0
		return 0
	}
	b.row++
	step := b.row - b.Free - 1
	switch {
	case step < 0:
		return 0
	case b.Linear:
		return min(b.First*time.Duration(step+1), b.Max)
	case step >= 30: // no shift overflows
		return b.Max
	}
	return min(b.First<<step, b.Max)
}

// Row is how many short lives there have been in a row.
func (b *Backoff) Row() int { return b.row }

// Reset ends the row: what comes next is waited for as the first.
func (b *Backoff) Reset() { b.row = 0 }
