package worker

import (
	"testing"
)

func TestTheQueueGivesRequestsInOrderAndSaysWhenThereAreNone(t *testing.T) {
	var q requestQueue
	if err := q.init(); err != nil {
		t.Fatal(err)
	}
	if q.take() != nil {
		t.Fatal("a fresh queue is not empty")
	}
	first, second := &request{}, &request{}
	q.put(first)
	q.put(second)
	if q.len() != 2 || q.take() != first || q.take() != second || q.take() != nil {
		t.Fatal("not first in, first out")
	}
}
