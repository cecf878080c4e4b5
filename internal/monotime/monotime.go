// Package monotime is the kernel's CLOCK_MONOTONIC as a number. It is the same in all
// processes, so it goes into memory that they share; setting the time of day does not move it.
package monotime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Each time.Time of time.Now carries a reading of the same clock, counted from a start
// of the runtime's own: one known pair translates them.
var epoch, offset = pair()

func pair() (time.Time, int64) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("monotime: " + err.Error()) // a kernel without it runs no Go
	}
	return time.Now(), ts.Nano()
}

// Now is the clock's reading in nanoseconds. It asks the vDSO once; time.Now asks it twice.
func Now() int64 { return offset + int64(time.Since(epoch)) }

// At is the reading at t, which time.Now has returned.
func At(t time.Time) int64 { return offset + int64(t.Sub(epoch)) }

// Time is when the clock had that reading, by the time of day as it is set now.
func Time(reading int64) time.Time { return time.Now().Add(time.Duration(reading - Now())) }
