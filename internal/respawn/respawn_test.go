package respawn

import (
	"slices"
	"testing"
	"time"
)

func TestWaits(t *testing.T) {
	const short, long = 100 * time.Millisecond, time.Minute
	for _, c := range []struct {
		name   string
		policy Policy
		lives  []time.Duration
		want   []time.Duration
	}{
		{"doubling, two free", Policy{Healthy: time.Second, Free: 2, First: 100 * time.Millisecond, Max: 500 * time.Millisecond},
			[]time.Duration{short, short, short, short, short, short, short},
			[]time.Duration{0, 0, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 500 * time.Millisecond, 500 * time.Millisecond}},
		{"a long life ends the row", Policy{Healthy: time.Second, Free: 1, First: time.Second, Max: time.Minute},
			[]time.Duration{short, short, long, short, short}, []time.Duration{0, time.Second, 0, 0, time.Second}},
		{"none free", Policy{Healthy: time.Second, First: time.Second, Max: time.Minute},
			[]time.Duration{short, short, long, short}, []time.Duration{time.Second, 2 * time.Second, 0, time.Second}},
		{"linear", Policy{Healthy: time.Second, First: time.Second, Max: 3 * time.Second, Linear: true},
			[]time.Duration{short, short, short, short}, []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second}},
	} {
		b := Backoff{Policy: c.policy}
		var got []time.Duration
		for _, lived := range c.lives {
			got = append(got, b.Ended(lived))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: waits %v, want %v", c.name, got, c.want)
		}
	}
}

func TestManyDeathsDoNotOverflow(t *testing.T) {
	b := Backoff{Policy: Policy{Healthy: time.Second, First: time.Second, Max: time.Minute}}
	for range 200 {
		if wait := b.Ended(0); wait <= 0 || wait > time.Minute {
			t.Fatalf("waits %v after %d deaths", wait, b.Row())
		}
	}
	b.Reset()
	if wait := b.Ended(0); wait != time.Second {
		t.Fatalf("after a reset it waits %v", wait)
	}
}
