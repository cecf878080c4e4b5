package gateway

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"envoxyd/transports/mqtt"
)

func message(topic string, payload any) *item {
	pending := new(atomic.Int32)
	pending.Store(1)
	return &item{origin: origin{server: "b"}, message: &mqtt.Message{Topic: topic, Payload: fmt.Append(nil, payload), QoS: 1}, pending: pending}
}

func labels(items []*item) (found []string) {
	for _, i := range items {
		found = append(found, i.message.Topic+string(i.message.Payload))
	}
	return found
}

func TestTheMessagesOfATopicAreWithOneTakerAtATime(t *testing.T) {
	q := newQueue()
	for n := range 3 {
		q.add(message("a", n))
	}
	first := q.take(1)
	if got := fmt.Sprint(labels(first.items)); got != "[a0 a1 a2]" {
		t.Fatal(got)
	}
	q.add(message("a", 3))
	q.late = true // somebody else may take
	taken := make(chan *delivery, 1)
	go func() { taken <- q.take(1) }()
	q.release(first, first.items[1:], time.Millisecond, 0) // the worker did not get to the last two
	second := <-taken
	if got := fmt.Sprint(labels(second.items)); got != "[a1 a2 a3]" {
		t.Errorf("what is left comes before what is new: %s", got)
	}
	q.release(second, nil, 0, 0)
	if !q.idle(0) || len(q.lanes) != 0 {
		t.Errorf("%d lanes are left", len(q.lanes))
	}
}

func TestManyTopicsShareADelivery(t *testing.T) {
	q := newQueue()
	for n := range 8 {
		q.add(message(fmt.Sprint("t", n%4), n))
	}
	if got := len(q.take(1).lanes); got != 4 {
		t.Errorf("for one taker: %d topics", got)
	}
	q = newQueue()
	for n := range 8 {
		q.add(message(fmt.Sprint("t", n%4), n))
	}
	if got := len(q.take(2).lanes); got != 3 { // the first, and its share of the other three
		t.Errorf("for two takers: %d topics", got)
	}
}

func TestASlowHandlerGetsMessagesOneByOne(t *testing.T) {
	q := newQueue()
	q.pace = time.Second
	for n := range 5 {
		q.add(message("a", n))
	}
	if d := q.take(1); len(d.items) != 1 {
		t.Errorf("%d messages", len(d.items))
	}
}

func TestWhatMayHaveEndedAWorkerGoesAlone(t *testing.T) {
	q := newQueue()
	bad := message("a", 0)
	bad.attempts = 1
	q.add(bad)
	q.add(message("a", 1))
	q.add(message("b", 0))
	if d := q.take(1); len(d.items) != 1 || d.items[0] != bad {
		t.Errorf("%v", labels(d.items))
	}
}

func TestAPauseHoldsOneTopicOnly(t *testing.T) {
	q := newQueue()
	q.add(message("a", 0))
	d := q.take(1)
	q.release(d, d.items, 0, time.Hour)
	q.add(message("b", 0))
	if got := fmt.Sprint(labels(q.take(1).items)); got != "[b0]" {
		t.Error(got)
	}
}

func TestAMessageOfQoS0WaitsForRoom(t *testing.T) {
	q := newQueue()
	for n := range queueLimit {
		q.add(message("a", n))
	}
	done := make(chan bool)
	go func() {
		i := message("b", 0)
		i.message.QoS = 0
		done <- q.add(i)
	}()
	if !q.add(message("c", 0)) {
		t.Error("a message of QoS 1 is bounded by the broker")
	}
	q.take(1)
	if !<-done {
		t.Error("there was room")
	}
}

func TestClosingWakesEveryTaker(t *testing.T) {
	q := newQueue()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if q.take(4) != nil {
				t.Error("there was nothing to take")
			}
		})
	}
	q.close()
	all.Wait()
	if q.add(message("a", 0)) {
		t.Error("a closed queue takes nothing")
	}
}

func TestMessagesOfAnOwnerThatHasEndedAreDropped(t *testing.T) {
	q := newQueue()
	mine := message("a", 0)
	mine.owner = 7
	q.add(mine)
	q.add(message("a", 1))
	if dropped := q.drop(7); len(dropped) != 1 || dropped[0] != mine {
		t.Errorf("%v", labels(dropped))
	}
	if got := fmt.Sprint(labels(q.take(1).items)); got != "[a1]" {
		t.Error(got)
	}
}
