package worker

import (
	"testing"
	"time"

	"envoxyd/internal/latency"
)

func TestRequestsAreTimed(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	s.send(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	s.request()
	s.slot.io.entered += cInt64(2 * time.Millisecond) // as if Python's lock had been waited for
	s.answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	s.slot.io.status = 404
	s.slot.finish()
	if got := s.slot.timing.Responses[4].Load(); got != 1 {
		t.Errorf("%d responses of 4xx, want 1", got)
	}
	var queue latency.Histogram
	s.slot.timing.Queue.AddTo(&queue)
	if queue.Count() != 1 || queue.Max < 2*time.Millisecond || queue.Max > time.Second {
		t.Errorf("%d requests have waited for %v at most", queue.Count(), queue.Max)
	}
}

// TestTheKernelKnowsHowLongARequestHasWaited has a request come while nobody asks for events.
func TestTheKernelKnowsHowLongARequestHasWaited(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	s.send(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	s.request()
	s.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	sent := time.Now()
	s.send(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	for time.Since(sent) < 30*time.Millisecond { // the application is busy
		time.Sleep(time.Millisecond)
	}
	s.request()
	waited, most := s.slot.queueTime(), time.Since(sent)+5*time.Millisecond // jiffies
	if waited < 20*time.Millisecond || waited > most {
		t.Errorf("the request has waited for %v, want 30 ms or so, %v at most", waited, most)
	}
}
