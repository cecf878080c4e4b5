package snooze

import "testing"

func TestTheSleeperIsWokenAsOftenAsItSleeps(t *testing.T) {
	b := New()
	b.Ring() // nobody sleeps: it is not remembered
	for range 3 {
		woken := make(chan bool)
		go func() { woken <- b.Sleep(nil) }()
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
	if New().Sleep(done) {
		t.Fatal("nobody has rung")
	}
}
