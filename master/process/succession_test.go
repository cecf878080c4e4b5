package process

import (
	"testing"
	"time"

	"envoxyd/internal/workerspec"
)

// TestEverySuccession holds the whole table: the states of the place, and of the one beside it.
func TestEverySuccession(t *testing.T) {
	allowed := map[[2]State]bool{
		{Ready, Ready}: true, {Leaving, Ready}: true, {Absent, Ready}: true, {Absent, Starting}: true, {Absent, Ordered}: true,
	}
	for state := Absent; state <= Leaving; state++ {
		for besides := Absent; besides <= Leaving; besides++ {
			p, beside := at(state), at(besides)
			p.Row, beside.Row = 1, 2
			starts, pid, pidBeside := p.Starts(), p.PID(), beside.PID()
			did := p.Succeed(beside)
			if did != allowed[[2]State{state, besides}] {
				t.Fatalf("%v, beside it %v: %v", state, besides, did)
			}
			if !did {
				if p.State() != state || beside.State() != besides || p.PID() != pid || p.Row != 1 {
					t.Errorf("%v, beside it %v: touched", state, besides)
				}
				continue
			}
			if p.State() != besides || beside.State() != state || p.PID() != pidBeside || beside.PID() != pid || p.Row != 2 || beside.Row != 1 {
				t.Errorf("%v, beside it %v: then %v, beside it %v", state, besides, p, beside)
			}
			if wants := starts + min(pidBeside, 1); p.Starts() != wants {
				t.Errorf("%v, beside it %v: %d starts, not %d", state, besides, p.Starts(), wants)
			}
		}
	}
}

func TestSuccessorsAreNamedAndStartedAsSuch(t *testing.T) {
	orders := &fakeOrders{}
	z := NewZygote(&fakeProcess{pid: 5}, orders)
	z.Loaded()
	p := at(Ready)
	beside := p.Beside()
	beside.Row = 9
	if beside.String() != "the successor of worker 1" || beside.State() != Absent {
		t.Fatalf("%v is %v", &beside, beside.State())
	}
	if err := z.Fork(&beside, epoch); err != nil {
		t.Fatal(err)
	}
	if want := (workerspec.Command{Kind: workerspec.CommandFork, ID: 1, Worker: 1, Row: 9, Again: true}); orders.sent[0] != want {
		t.Fatalf("sent %+v", orders.sent[0])
	}
	if !beside.Awaits(1) || beside.Awaits(2) {
		t.Fatal("it does not await what was ordered")
	}
}

func TestStartsMayBeLate(t *testing.T) {
	p := at(Starting)
	switch {
	case p.StartLate(epoch.Add(time.Second), time.Second):
		t.Error("late at the limit itself")
	case !p.StartLate(epoch.Add(time.Second+1), time.Second) || p.StartLate(epoch.Add(time.Hour), time.Second):
		t.Error("not said exactly once")
	case at(Ready).StartLate(epoch.Add(time.Hour), time.Second):
		t.Error("a process that is ready is late")
	}
}
