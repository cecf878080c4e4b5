// Package latency counts durations in histograms that are cheap to write, can be added up, and can be shared by processes.
//
// Buckets are log-linear: each decade from a microsecond to a thousand seconds is divided into 32, so the bounds 1, 2, 2.5
// and 5 of every decade are bounds of buckets, and no bucket is wider than a tenth of what it holds.
package latency

import (
	"math/bits"
	"time"
)

const (
	decades   = 9  // 1 µs to 1000 s
	perDecade = 32 // steps of 0.1 from 1, of 0.25 from 2, of 0.5 from 5
	units     = 200

	// Buckets is how many there are. The first one holds what is under a microsecond, the last one what is 1000 s or longer.
	Buckets = decades*perDecade + 2
)

// bounds are the lower bounds of the buckets from the second one on, in nanoseconds.
var bounds = func() (all [Buckets - 1]int64) {
	decade := int64(time.Microsecond)
	for d := range decades {
		at := decade
		for step := range perDecade {
			all[d*perDecade+step] = at
			at += decade / 100 * width(step)
		}
		decade *= 10
	}
	all[Buckets-2] = decade
	return all
}()

// width is the width of a bucket of a decade, in hundredths of where the decade begins.
func width(step int) int64 {
	switch {
	case step < 10:
		return 10
	case step < 22:
		return 25
	default:
		return 50
	}
}

// steps has the bucket of its decade for each twentieth of where the decade begins.
var steps = func() (all [units]uint8) {
	for step := range perDecade {
		first := bounds[step] / 50 // the first decade's twentieths are 50 ns
		for unit := first; unit < units; unit++ {
			all[unit] = uint8(step)
		}
	}
	return all
}()

// scale has, for each number of bits, a decade that a value of so many bits is in, or the one below.
var scale = func() (all [65]uint8) {
	for size := range all {
		for d := decades - 1; d > 0; d-- {
			if size > 0 && uint64(1)<<(size-1) >= uint64(bounds[d*perDecade]) {
				all[size] = uint8(d)
				break
			}
		}
	}
	return all
}()

// Index is the bucket for a duration in nanoseconds.
func Index(nanoseconds int64) int {
	if nanoseconds < bounds[0] {
		return 0
	}
	if nanoseconds >= bounds[Buckets-2] {
		return Buckets - 1
	}
	decade := int(scale[bits.Len64(uint64(nanoseconds))])
	if next := (decade + 1) * perDecade; nanoseconds >= bounds[next] {
		decade++
	}
	twentieth := bounds[decade*perDecade] / 20
	return 1 + decade*perDecade + int(steps[nanoseconds/twentieth])
}

// Bounds are the lower bounds of the buckets, from the second one on.
func Bounds() []time.Duration {
	all := make([]time.Duration, len(bounds))
	for i, bound := range bounds {
		all[i] = time.Duration(bound)
	}
	return all
}
