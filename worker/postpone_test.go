package worker

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/routespec"
	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
)

const ruled, ruledReply = "GET /ruled HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 410 Gone"

// ruledThreads are threads of a worker with a rule that answers /ruled.
func ruledThreads(t *testing.T, n int) []*thread {
	t.Helper()
	return threadsOf(t, n, func(spec *workerspec.Spec) {
		spec.Routes = []routespec.Rule{
			{Option: "route", Value: "^/ruled return:410"},
			{Option: "route-run", Value: "addvar:SEEN=${REQUEST_URI}"},
			{Option: "route-run", Value: "addheader:X-Seen: ${REQUEST_URI}"},
		}
	})
}

// oneWaits has the first thread come with a request and wait for Python's lock, and the second one lead.
func oneWaits(all []*thread) {
	all[0].Helper()
	all[0].send(all[0].connect(), get)
	all[0].has(nextRequest)
	all[0].until("another one leads", func(r *reactor) bool { return r.leader == all[1].slot && r.polling })
}

func answered(th *thread) {
	th.Helper()
	c := th.connect()
	th.send(c, ruled)
	th.expect(c, ruledReply)
}

// firstOf waits until one of two threads has a request.
func firstOf(all []*thread) *thread {
	all[0].Helper()
	select {
	case got := <-all[0].came:
		all[0].came <- got
		all[0].has(nextRequest)
		return all[0]
	case got := <-all[1].came:
		all[1].came <- got
		all[1].has(nextRequest)
		return all[1]
	case <-time.After(10 * time.Second):
		all[0].Fatal("no thread has a request")
		return nil
	}
}

func (th *thread) isPostponed(n int) {
	th.Helper()
	th.until(fmt.Sprintf("%d postponed", n), func(r *reactor) bool { return len(r.postponed) == n })
}

func TestRulesAnswerWhileRequestsWaitForPythonsLock(t *testing.T) {
	all := ruledThreads(t, 2)
	oneWaits(all)
	c := all[1].connect()
	all[1].send(c, "POST /app HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"+ruled)
	all[1].isPostponed(1)
	for range 3 {
		answered(all[1])
	}
	all[0].answer(okReply)
	all[0].goOn() // what waits is its, unless the leader looks first
	taker := firstOf(all)
	vars, body := taker.inHand()
	if waited := taker.slot.queueTime(); waited <= 0 || waited > time.Minute {
		t.Errorf("it has waited for %v", waited)
	}
	if vars["REQUEST_URI"] != "/app" || vars["SEEN"] != "/app" || body != "body" {
		t.Fatalf("%v with the body %q", vars, body)
	}
	if got := taker.slot.routed.request.Effects.AddHeaders; len(got) != 1 || string(got[0]) != "X-Seen: /app" {
		t.Fatalf("the rules' view of the request is lost: %q", got)
	}
	answered(all[1])
	taker.answer(okReply)
	taker.goOn()
	taker.expect(c, okReply+ruledReply)
	stop(all)
}

func TestTheLeaderTakesWhatIsPostponedWhenNobodyWaitsForTheLock(t *testing.T) {
	all := ruledThreads(t, 2)
	oneWaits(all)
	c := all[1].connect()
	all[1].send(c, get)
	all[1].isPostponed(1)
	all[0].takesLock()
	all[1].has(nextRequest)
	all[1].takesLock()
	all[1].answer(okReply)
	all[1].goOn()
	all[1].expect(c, okReply)
	all[0].answer(okReply)
	all[0].goOn()
	stop(all)
}

func TestOnlySoManyArePostponed(t *testing.T) {
	all := ruledThreads(t, 2)
	oneWaits(all)
	for n := range mostPostponed {
		all[1].send(all[1].connect(), get)
		all[1].isPostponed(n + 1)
	}
	all[1].send(all[1].connect(), get)
	all[1].has(nextRequest)
	r := all[1].w.reactor
	r.mu.Lock()
	inHand := r.inHand
	r.mu.Unlock()
	if inHand != mostPostponed+2 {
		t.Errorf("%d requests are in hand", inHand)
	}
	all[1].takesLock()
	for range mostPostponed {
		all[0].answer(okReply)
		all[0].goOn()
		all[0].has(nextRequest)
	}
	for _, th := range all {
		th.answer(okReply)
		th.goOn()
	}
	stop(all)
}

func TestAStopWaitsForWhatIsPostponed(t *testing.T) {
	all := ruledThreads(t, 2)
	oneWaits(all)
	c := all[1].connect()
	all[1].send(c, get)
	all[1].isPostponed(1)
	all[0].w.Stop(stopping, 0)
	all[0].answer(okReply)
	all[0].goOn()
	taker := firstOf(all)
	taker.answer(okReply)
	taker.goOn()
	taker.expect(c, okReply)
	for _, th := range all {
		th.has(nextStop)
	}
}

// TestWhatWasPassedOnStays: it is not passed back, though another thread waits for the lock and another worker seems to be idle.
func TestWhatWasPassedOnStays(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := threadsOf(t, 2, func(spec *workerspec.Spec) {
		spec.Routes = []routespec.Rule{{Option: "route", Value: "^/ruled return:410"}}
		spec.HandoverFD = pair
	})
	w := all[0].w
	w.board.Core(2, 0).State.Store(shm.Idle)
	oneWaits(all)
	c := all[1].connect() // the leader passes it on to the other worker
	all[1].send(c, ruled)
	all[1].expect(c, ruledReply) // which this one is, too
	w.board.Core(2, 0).State.Store(shm.Absent)
	all[0].answer(okReply)
	all[0].goOn()
	stop(all)
}
