package stats

import (
	"os"
	"testing"
)

func TestMemoryIsReadAsFarAsSomebodyWantsIt(t *testing.T) {
	tests := []struct {
		report, least MemoryReport
		sizes, shares bool
	}{
		{NoMemory, NoMemory, false, false},
		{Sizes, NoMemory, true, false},
		{NoMemory, Sizes, true, false},
		{Shares, Sizes, true, true},
		{Shares + 1, NoMemory, true, true},
	}
	for _, test := range tests {
		s := &Snapshot{Memory: test.report, Workers: []Worker{{ID: 1}, {ID: 2, PID: os.Getpid()}}}
		s.Measure(test.least)
		none, w := s.Workers[0], s.Workers[1]
		if none.RSS != 0 || none.VSZ != 0 || none.PSS != 0 {
			t.Errorf("no process has %+v", none)
		}
		if (w.RSS > 0) != test.sizes || (w.VSZ > 0) != test.sizes || (w.PSS > 0) != test.shares {
			t.Errorf("report %d, at least %d: rss %d, vsz %d, pss %d", test.report, test.least, w.RSS, w.VSZ, w.PSS)
		}
	}
}
