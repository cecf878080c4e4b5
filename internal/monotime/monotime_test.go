package monotime

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// near is what may pass between two readings on a machine that is busy with other things.
const near = int64(time.Second)

func TestReadingsAreTheKernelsClock(t *testing.T) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	now := Now()
	if away := now - ts.Nano(); away < -int64(time.Millisecond) || away > near {
		t.Errorf("Now is %v away from CLOCK_MONOTONIC", time.Duration(away))
	}
	if later := Now(); later < now {
		t.Errorf("%d came after %d", later, now)
	}
}

func TestATimeAndItsReading(t *testing.T) {
	now := time.Now()
	if away := At(now) - Now(); away > 0 || away < -near {
		t.Errorf("At is %v away from Now", time.Duration(away))
	}
	if got := At(now.Add(time.Hour)) - At(now); got != int64(time.Hour) {
		t.Errorf("an hour later is %v later", time.Duration(got))
	}
	ago := Time(Now() - int64(time.Hour))
	if age := time.Since(ago); age < time.Hour || age > time.Hour+time.Duration(near) {
		t.Errorf("an hour ago was %v ago", age)
	}
	if age := time.Since(ago.Round(0)); age < time.Hour-time.Duration(near) || age > time.Hour+time.Duration(near) {
		t.Errorf("an hour ago was %v ago by the time of day", age)
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		_ = Now()
	}
}

// BenchmarkTimeOfDay is what the worker read before.
func BenchmarkTimeOfDay(b *testing.B) {
	for b.Loop() {
		_ = time.Now().UnixNano()
	}
}
