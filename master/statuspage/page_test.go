package statuspage

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"envoxyd/master/stats"
)

var start = time.Unix(1_700_000_000, 0)

// after is a state some seconds after the start, with so many requests done.
func after(seconds int, requests uint64) (*stats.Snapshot, time.Time) {
	s := &stats.Snapshot{PID: 10, Started: start, Dir: "/srv/shop"}
	s.Life.Requests = requests
	s.Life.Responses[2] = requests
	for range requests {
		s.Life.Latency.Note(20 * time.Millisecond)
		s.Life.QueueTime.Note(time.Millisecond)
	}
	s.Workers = []stats.Worker{{ID: 1, PID: 1 << 30, Status: stats.Idle, Accepting: true, Started: start, Starts: 1, Counters: stats.Counters{Requests: requests}}}
	return s, start.Add(time.Duration(seconds) * time.Second)
}

// serve serves a page on a port of this machine, as the master does.
func serve(t *testing.T, p *Page) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: func(r *fasthttp.RequestCtx) {
		if string(r.Path()) == "/events" {
			p.Events(context.Background(), r)
		} else {
			p.Document(context.Background(), r)
		}
	}}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }() // ends with the listener
	t.Cleanup(func() {
		p.Close()
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// viewer reads a stream of events.
type viewer struct {
	t    *testing.T
	body *bufio.Scanner
	end  func()
}

func look(t *testing.T, address string) *viewer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("%s, %s", answer.Status, kind)
	}
	v := &viewer{t, bufio.NewScanner(answer.Body), func() { answer.Body.Close(); cancel() }}
	v.body.Buffer(nil, 1<<20)
	t.Cleanup(v.end)
	return v
}

// next waits for the next event.
func (v *viewer) next() (name string, document map[string]any) {
	v.t.Helper()
	var lines []string
	for v.body.Scan() && v.body.Text() != "" {
		lines = append(lines, v.body.Text())
	}
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "event: ") || !strings.HasPrefix(lines[1], "data: ") {
		v.t.Fatalf("no event: %q (%v)", lines, v.body.Err())
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(lines[1], "data: ")), &document); err != nil {
		v.t.Fatal(err)
	}
	return strings.TrimPrefix(lines[0], "event: "), document
}

// event waits for the next one, which has to have that name.
func (v *viewer) event(name string) map[string]any {
	v.t.Helper()
	got, document := v.next()
	if got != name {
		v.t.Fatalf("the event is %s: %v", got, document)
	}
	return document
}

func TestAViewerSeesWhatWasBeforeAndThenEachSecond(t *testing.T) {
	p := New()
	address := serve(t, p)
	p.Note(after(0, 0))
	p.Note(after(1, 10))
	p.Note(after(2, 40))
	v := look(t, address)
	history := v.event("history")
	if got := fmt.Sprint(history["requests"], history["p50"]); got != "[<nil> 10 30] [<nil> 0.02 0.02]" {
		t.Errorf("history: %s", got)
	}
	if got := len(history["t"].([]any)); got != 3 || history["length"] != 600.0 {
		t.Errorf("%d times, length %v", got, history["length"])
	}
	state := v.event("state")
	if totals := state["totals"].(map[string]any); totals["requests"] != 40.0 {
		t.Errorf("%v", totals)
	}
	if point := state["point"].(map[string]any); point["requests"] != 30.0 || point["t"] != float64(start.Unix()+2) {
		t.Errorf("%v", point)
	}
	p.Note(after(3, 45))
	if point := v.event("state")["point"].(map[string]any); point["requests"] != 5.0 {
		t.Errorf("%v", point)
	}
}

func TestAStateIsWrittenOnceHoweverManyLook(t *testing.T) {
	p := New()
	p.Note(after(0, 0))
	if p.latest.text != nil {
		t.Error("it was written although nobody looks")
	}
	address := serve(t, p)
	for range 3 {
		v := look(t, address)
		v.event("history")
		v.event("state")
	}
	first := p.latest.event()
	if &first[0] != &p.latest.event()[0] {
		t.Error("it was written again")
	}
}

func TestWhoMissedAPointGetsTheHistoryAgain(t *testing.T) {
	p := New()
	p.Note(after(0, 0))
	v := look(t, serve(t, p))
	v.event("history")
	v.event("state")
	p.processors.mu.Lock() // the next state cannot be written
	for second := 1; second <= 3; second++ {
		p.Note(after(second, 0))
	}
	p.processors.mu.Unlock()
	last, histories, fresh := float64(start.Unix()), 0, false
	for last < float64(start.Unix()+3) {
		name, document := v.next()
		if name == "history" {
			histories, fresh = histories+1, true
			continue
		}
		at := document["point"].(map[string]any)["t"].(float64)
		if at != last+1 && !fresh {
			t.Errorf("the state of %v follows that of %v without a history", at, last)
		}
		last, fresh = at, false
	}
	if histories == 0 {
		t.Error("there was no history, but not every point came either")
	}
}

func TestTheNumberOfViewersIsBoundedAndPlacesBecomeFree(t *testing.T) {
	p := New()
	p.Note(after(0, 0))
	address := serve(t, p)
	var viewers []*viewer
	for range maxViewers {
		v := look(t, address)
		v.event("history")
		viewers = append(viewers, v)
	}
	answer, err := http.Get("http://" + address + "/events")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s", answer.Status)
	}
	viewers[0].end()
	for deadline, seconds := time.Now().Add(10*time.Second), 1; ; seconds++ { // a viewer that has gone is noticed when something is written
		p.Note(after(seconds, 0))
		p.mu.Lock()
		left := p.viewers
		p.mu.Unlock()
		if left < maxViewers {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d viewers are left", left)
		}
		time.Sleep(time.Millisecond) // the connection's end is on its way
	}
}

func TestStreamsEndWithThePage(t *testing.T) {
	p := New()
	p.Note(after(0, 0))
	v := look(t, serve(t, p))
	v.event("history")
	v.event("state")
	p.Close()
	if v.body.Scan() {
		t.Errorf("after the end: %q", v.body.Text())
	}
	if p.enter() {
		t.Error("one was let in after the end")
	}
}

func TestAViewerBeforeTheFirstStateWaitsForIt(t *testing.T) {
	p := New()
	address := serve(t, p)
	got := make(chan map[string]any)
	go func() { // ends with its viewer
		v := look(t, address)
		v.event("history")
		got <- v.event("state")
	}()
	for { // until it waits
		p.mu.Lock()
		waits := p.viewers == 1
		p.mu.Unlock()
		if waits {
			break
		}
		time.Sleep(time.Millisecond)
	}
	p.Note(after(0, 7))
	if totals := (<-got)["totals"].(map[string]any); totals["requests"] != 7.0 {
		t.Errorf("%v", totals)
	}
}
