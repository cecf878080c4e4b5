package master

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
	"envoxyd/master/signaling"
)

// waitingSignals are those in the queue for the first worker that has time.
func (tm *testMaster) waitingSignals() (numbers []byte) {
	tm.t.Helper()
	out, _, err := tm.queues.pipe(signaling.AnyWorker)
	if err != nil {
		tm.t.Fatal(err)
	}
	for {
		var number [1]byte
		n, _, err := unix.Recvfrom(int(out.Fd()), number[:], unix.MSG_DONTWAIT)
		if err != nil || n == 0 {
			return numbers
		}
		numbers = append(numbers, number[0])
	}
}

func (g *generation) raises(number int) {
	g.workerReport(process.Report{Event: workerspec.Event{Kind: workerspec.EventRaise, Signal: &workerspec.SignalOrder{Number: number}}, Sender: 1})
}

// beginReload has a reload begin, and returns the generation that loads.
func (tm *testMaster) beginReload() *generation {
	tm.t.Helper()
	tm.reload(false)
	tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
	return tm.master.next
}

// TestSignalsOfAStartAreNotForgotten: they wait until the generation before has heard that it has a successor, but not beyond
// the end of their own.
func TestSignalsOfAStartAreNotForgotten(t *testing.T) {
	for name, leave := range map[string]func(tm *testMaster){
		"an upgrade":     func(tm *testMaster) { tm.upgradeDone(nil) },
		"another reload": func(tm *testMaster) { tm.comeUp(tm.beginReload()) },
	} {
		t.Run(name, func(t *testing.T) {
			tm := newTestMaster(t, 1)
			tm.start()
			g := tm.beginReload()
			g.raises(7)
			tm.comeUp(g)
			if early := tm.waitingSignals(); early != nil {
				t.Fatalf("%v: too early", early)
			}
			leave(tm)
			if got := tm.waitingSignals(); len(got) != 1 || got[0] != 7 {
				t.Errorf("%v wait, not 7", got)
			}
		})
	}
}

func TestSignalsOfAStartThatFailsAreForThoseWhoServe(t *testing.T) {
	tm := newTestMaster(t, 1)
	tm.start()
	g := tm.beginReload()
	g.raises(7)
	tm.zygoteOf(g).exit(process.Exit{Signal: syscall.SIGKILL})
	tm.turn("it has failed", func() bool { return tm.master.next == nil })
	if got := tm.waitingSignals(); len(got) != 1 || got[0] != 7 {
		t.Errorf("%v wait, not 7", got)
	}
}
