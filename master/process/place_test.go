package process

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/respawn"
	"envoxyd/internal/workerspec"
)

type fakeProcess struct {
	pid  int
	sent []syscall.Signal
}

func (f *fakeProcess) PID() int                      { return f.pid }
func (f *fakeProcess) Release()                      {}
func (f *fakeProcess) Signal(s syscall.Signal) error { f.sent = append(f.sent, s); return nil }
func (f *fakeProcess) Wait() (Exit, error)           { return Exit{}, nil }

var epoch = time.Unix(1000, 0)

// at returns a place in the given state, with process 7 where that has one.
func at(state State) *Place {
	p := &Place{Kind: "worker", ID: 1}
	if state == Absent {
		return p
	}
	p.Order(1, epoch.Add(time.Second))
	if state == Ordered {
		return p
	}
	p.Adopt(&fakeProcess{pid: 7}, epoch)
	if state >= Ready {
		p.MarkReady(7)
	}
	if state == Leaving {
		p.Leave(epoch.Add(time.Minute))
	}
	return p
}

// TestEveryEventInEveryState holds the whole table: what does not lead to another state changes nothing.
func TestEveryEventInEveryState(t *testing.T) {
	events := []struct {
		name string
		do   func(p *Place) bool
		want map[State]State // states that it leads out of
	}{
		{"order", func(p *Place) bool { return p.Order(2, epoch) }, map[State]State{Absent: Ordered}},
		{"order failed", func(p *Place) bool { return p.OrderFailed(1) }, map[State]State{Ordered: Absent}},
		{"another order failed", func(p *Place) bool { return p.OrderFailed(9) }, nil},
		{"adopt", func(p *Place) bool { return p.Adopt(&fakeProcess{pid: 8}, epoch) }, map[State]State{Ordered: Starting}},
		{"ready", func(p *Place) bool { changed, _ := p.MarkReady(7); return changed }, map[State]State{Starting: Ready}},
		{"ready of another process", func(p *Place) bool { changed, _ := p.MarkReady(99); return changed }, nil},
		{"leave", func(p *Place) bool { return p.Leave(epoch) }, map[State]State{Starting: Leaving, Ready: Leaving, Leaving: Leaving}},
		{"ended", func(p *Place) bool { _, _, ok := p.Ended(7, epoch); return ok }, map[State]State{Starting: Absent, Ready: Absent, Leaving: Absent}},
		{"end of another process", func(p *Place) bool { _, _, ok := p.Ended(99, epoch); return ok }, nil},
	}
	for _, event := range events {
		for state := Absent; state <= Leaving; state++ {
			p := at(state)
			want, leads := event.want[state]
			if !leads {
				want = state
			}
			if did := event.do(p); did != leads || p.State() != want {
				t.Errorf("%s in state %v: %v, then %v; want %v, then %v", event.name, state, did, p.State(), leads, want)
			}
			if hasProcess := p.PID() != 0; hasProcess != p.Is(Starting, Ready, Leaving) {
				t.Errorf("%s in state %v: a place that is %v has process %d", event.name, state, p.State(), p.PID())
			}
		}
	}
}

func TestReadyMayBeSaidBeforeTheForkIsKnown(t *testing.T) {
	p := at(Ordered)
	if changed, _ := p.MarkReady(7); changed {
		t.Fatal("a process that is not there is ready")
	}
	p.Adopt(&fakeProcess{pid: 7}, epoch)
	if changed, first := p.ConfirmReady(); !changed || !first || p.State() != Ready {
		t.Fatalf("%v %v, the place is %v", changed, first, p.State())
	}
	p.Ended(7, epoch)
	p.Order(2, epoch)
	p.Adopt(&fakeProcess{pid: 7}, epoch) // the kernel gave the number once more
	if changed, _ := p.ConfirmReady(); changed {
		t.Fatal("what the last process said is taken for this one's")
	}
	if changed, first := p.MarkReady(7); !changed || first {
		t.Fatalf("second process: changed %v, first %v", changed, first)
	}
}

func TestOrdersAndLeavingHaveDeadlines(t *testing.T) {
	p := at(Ordered)
	if _, late := p.OrderLate(epoch.Add(time.Second)); late {
		t.Error("late at the deadline itself")
	}
	if number, late := p.OrderLate(epoch.Add(time.Second + 1)); !late || number != 1 {
		t.Errorf("order %d, late %v", number, late)
	}
	p = at(Leaving)
	if p.LeaveLate(epoch.Add(59 * time.Second)) {
		t.Error("late before the deadline")
	}
	if !p.LeaveLate(epoch.Add(time.Minute)) || p.LeaveLate(epoch.Add(time.Hour)) {
		t.Error("not said exactly once")
	}
	p = at(Ready)
	p.Leave(time.Time{}) // its own wish
	if p.LeaveLate(epoch.Add(time.Hour)) {
		t.Error("a process that leaves by itself has no deadline")
	}
	p.Leave(epoch)
	if !p.LeaveLate(epoch) {
		t.Error("an order on top of that has none either")
	}
}

func TestPauses(t *testing.T) {
	p := at(Starting)
	p.Backoff = respawn.Backoff{Policy: respawn.Policy{Healthy: time.Second, First: time.Second, Max: time.Minute}}
	if wait := p.Pause(Ready, 0); wait != time.Second {
		t.Errorf("after a death it waits %v", wait)
	}
	if wait := p.Pause(Leaving, 0); wait != 0 || p.Backoff.Row() != 0 {
		t.Errorf("after a process that left it waits %v, row %d", wait, p.Backoff.Row())
	}
}

type fakeOrders struct {
	sent  []workerspec.Command
	ended bool
	err   error
}

func (f *fakeOrders) Send(c workerspec.Command) error { f.sent = append(f.sent, c); return f.err }
func (f *fakeOrders) End() error                      { f.ended = true; return nil }

func TestZygote(t *testing.T) {
	process, orders := &fakeProcess{pid: 5}, &fakeOrders{}
	z := NewZygote(process, orders)
	p := at(Absent)
	if err := z.Fork(p, epoch); !errors.Is(err, ErrNoZygote) || p.State() != Absent {
		t.Fatalf("a loading zygote forks: %v", err)
	}
	if !z.Loaded() || z.Loaded() {
		t.Fatal("loaded not exactly once")
	}
	if err := z.Fork(p, epoch); err != nil || p.State() != Ordered {
		t.Fatalf("%v, %v", err, p.State())
	}
	if want := (workerspec.Command{Kind: workerspec.CommandFork, ID: 1, Worker: 1}); orders.sent[0] != want {
		t.Fatalf("sent %+v", orders.sent[0])
	}
	if err := z.Fork(p, epoch); err == nil || len(orders.sent) != 1 {
		t.Fatalf("one place, two orders: %v", err)
	}
	orders.err = errors.New("full")
	q := &Place{Kind: "worker", ID: 2}
	if err := z.Fork(q, epoch); err == nil || q.State() != Absent {
		t.Fatalf("an order that could not be sent: %v, %v", err, q.State())
	}
	z.Dismiss()
	if !orders.ended || z.State() != Dismissed || len(process.sent) != 0 {
		t.Fatalf("dismissed: %v, signals %v", z.State(), process.sent)
	}
	if err := z.Fork(q, epoch); !errors.Is(err, ErrNoZygote) {
		t.Fatalf("a dismissed zygote forks: %v", err)
	}
	z.Terminate()
	z.Kill()
	if !slices.Equal(process.sent, []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}) {
		t.Fatalf("signals %v", process.sent)
	}
	if was := z.Ended(); was != Dismissed || z.State() != Lost || z.Loaded() {
		t.Fatalf("was %v, is %v", was, z.State())
	}
	z.Kill()
	z.Terminate()
	if len(process.sent) != 2 {
		t.Fatal("a zygote that has ended gets signals")
	}
}

func TestAZygoteThatStillLoadsIsToldByASignal(t *testing.T) {
	process, orders := &fakeProcess{pid: 5}, &fakeOrders{}
	NewZygote(process, orders).Dismiss()
	if !orders.ended || len(process.sent) != 1 || process.sent[0] != syscall.SIGTERM {
		t.Fatalf("ended %v, signals %v", orders.ended, process.sent)
	}
}

func TestOnlyChildrenAreAdopted(t *testing.T) {
	for _, pid := range []int{0, -1, 1, os.Getpid(), os.Getppid()} {
		if _, err := (Linux{}).Adopt(pid); !errors.Is(err, ErrNotOurs) {
			t.Errorf("process %d: %v", pid, err)
		}
	}
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	process, err := Linux{}.Adopt(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exit, err := process.Wait()
	if err != nil || exit.Signal != syscall.SIGKILL || exit.String() != "signal 9, killed" {
		t.Fatalf("%v, %v", exit, err)
	}
	if err := process.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal to a process that is gone: %v", err)
	}
	if _, err := (Linux{}).Adopt(cmd.Process.Pid); !errors.Is(err, ErrNotOurs) {
		t.Errorf("a process that is gone: %v", err)
	}
}
