package snooze

import "testing"

func TestTheSleeperIsWokenAsOftenAsItSleeps(t *testing.T) {
	b := New()
	b.Ring() // nobody sleeps: it is not remembered
	for range 3 {
		woken := make(chan bool)
		go func() { woken <- b.Sleep(nil, never) }()
		for !b.Asleep() {
		}
		b.Ring()
		b.Ring()
		if !<-woken || b.Asleep() {
			t.Fatal("it sleeps on")
		}
	}
}

func TestSleepEndsWithDone(t *testing.T) {
	done := make(chan struct{})
	close(done)
	if New().Sleep(done, never) {
		t.Fatal("nobody has rung")
	}
}

func never() bool { return false }

func TestWhoBeginsBeforeTheSleeperIsSeenToSleepIsNotMissed(t *testing.T) {
	b := New()
	b.Ring() // the last moment at which nobody was seen to sleep
	if !b.Sleep(nil, func() bool { return true }) || b.Asleep() {
		t.Fatal("it sleeps")
	}
	go func() {
		for !b.Asleep() {
		}
		b.Ring()
	}()
	if !b.Sleep(nil, never) || b.Asleep() {
		t.Fatal("it sleeps on")
	}
}
