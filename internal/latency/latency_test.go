package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBoundsGrowAndHoldTheRoundNumbers(t *testing.T) {
	all := Bounds()
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Fatalf("the bounds do not grow: %v", all)
	}
	for decade := time.Microsecond; decade < 1000*time.Second; decade *= 10 {
		for _, round := range []time.Duration{decade, 2 * decade, decade / 2 * 5, 5 * decade} {
			if !slices.Contains(all, round) {
				t.Errorf("%v is no bound", round)
			}
		}
	}
	if last := all[len(all)-1]; last != 1000*time.Second {
		t.Errorf("the last bound is %v", last)
	}
}

func TestEachDurationIsInTheBucketBetweenItsBounds(t *testing.T) {
	check := func(ns int64) {
		t.Helper()
		want := 0
		for want < len(bounds) && bounds[want] <= ns {
			want++
		}
		if got := Index(ns); got != want {
			t.Fatalf("Index(%d) = %d, want %d", ns, got, want)
		}
	}
	for _, bound := range bounds {
		check(bound - 1)
		check(bound)
		check(bound + 1)
	}
	for range 100000 {
		check(int64(math.Exp(rand.Float64() * math.Log(2e12))))
	}
	check(-1)
	check(0)
	check(math.MaxInt64)
}

func TestQuantiles(t *testing.T) {
	var h Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("an empty histogram's median is %v", got)
	}
	for i := range 1000 {
		h.Note(time.Duration(i+1) * time.Millisecond)
	}
	for _, one := range []struct {
		q    float64
		want time.Duration
	}{{0.5, 500 * time.Millisecond}, {0.95, 950 * time.Millisecond}, {0.99, 990 * time.Millisecond}, {1, time.Second}} {
		if got := h.Quantile(one.q); math.Abs(float64(got-one.want)) > 0.02*float64(one.want) {
			t.Errorf("quantile %v is %v, want about %v", one.q, got, one.want)
		}
	}
	if got := h.Under(100 * time.Millisecond); got != 99 {
		t.Errorf("%d are under 100 ms, want 99", got)
	}
}

func TestSharedHistogramsAddUp(t *testing.T) {
	var shared, other Shared
	shared.Note(int64(3 * time.Millisecond))
	shared.Note(-5)
	other.Note(int64(time.Hour))
	other.MoveTo(&shared)
	var h, empty Histogram
	shared.AddTo(&h)
	if h.Count() != 3 || h.Max != time.Hour || h.Sum != time.Hour+3*time.Millisecond {
		t.Errorf("count %d, max %v, sum %v", h.Count(), h.Max, h.Sum)
	}
	if got := h.Quantile(1); got != time.Hour {
		t.Errorf("the longest is %v", got)
	}
	other.AddTo(&empty)
	if empty.Count() != 0 {
		t.Error("what was moved is still there")
	}
	before := h
	h.Note(time.Second)
	h.Sub(&before)
	if h.Count() != 1 || h.Sum != time.Second {
		t.Errorf("since then: %d in %v", h.Count(), h.Sum)
	}
}

func BenchmarkNote(b *testing.B) {
	var shared Shared
	for i := range b.N {
		shared.Note(int64(i&0xffff) * 37)
	}
}
