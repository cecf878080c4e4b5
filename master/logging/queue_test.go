package logging

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate is a writer that takes a batch when it is told to.
type gate struct {
	open chan error // nil: the batch is taken; else how it fails
	mu   sync.Mutex
	got  []string
}

func (g *gate) write(b *batch) (int, error) {
	if err := <-g.open; err != nil {
		return len(b.ends), err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return b.each(func(record []byte) error {
		g.got = append(g.got, string(record))
		return nil
	})
}

func (*gate) close() error { return nil }

// sayings collects what a queue says.
type sayings struct {
	mu   sync.Mutex
	text []string
}

func (s *sayings) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, fmt.Sprintf(format, args...))
}

func TestAQueueKeepsOrderAndEndsWhenAllIsWritten(t *testing.T) {
	g := &gate{open: make(chan error)}
	close(g.open)
	var said sayings
	q := newQueue("test", g, said.say, false)
	var want []string
	ordered := 0
	for n := range 1000 {
		text := fmt.Sprint(n)
		want = append(want, text)
		q.put([]byte(text), true)
		if n == 500 {
			q.order(func() { ordered = len(g.got) })
		}
	}
	if lost := q.finish(time.Now().Add(time.Minute)); lost != 0 {
		t.Fatalf("lost %d", lost)
	}
	if !slices.Equal(g.got, want) || ordered < 501 || len(said.text) > 0 {
		t.Fatalf("%d records, ordered after %d, said %q", len(g.got), ordered, said.text)
	}
}

func TestAStuckLoggerLosesRecordsAndSaysHowMany(t *testing.T) {
	g := &gate{open: make(chan error)}
	var said sayings
	q := newQueue("test", g, said.say, false)
	record := []byte(strings.Repeat("x", queueSize/4))
	begin := time.Now()
	total := 20
	for range total {
		q.put(record, true)
	}
	if spent := time.Since(begin); spent > 10*roomTime {
		t.Fatalf("whoever logs was held up for %v", spent)
	}
	close(g.open)
	if lost := q.finish(time.Now().Add(time.Minute)); lost != 0 {
		t.Fatalf("%d more were lost at the end", lost)
	}
	lost := total - len(g.got)
	want := fmt.Sprintf("*** %d log line(s) lost: test did not take them in time ***", lost)
	if lost == 0 || !slices.Equal(said.text, []string{want}) {
		t.Fatalf("%d lost, said %q", lost, said.text)
	}
}

func TestFailuresAreToldOnceAndCountedInTheEnd(t *testing.T) {
	for _, last := range []bool{false, true} {
		g := &gate{open: make(chan error)}
		var said sayings
		q := newQueue("test", g, said.say, last)
		for n := range 4 {
			q.put([]byte(fmt.Sprint(n)), true)
			var err error
			if n < 3 {
				err = errors.New("no space")
			}
			g.open <- err
		}
		lost := "*** 3 log line(s) lost: test: no space ***"
		wrote, wantSaid := []string{"3"}, []string{"test: no space", lost}
		if last { // it cannot say anything while it fails
			wrote, wantSaid = append(wrote, lost+"\n"), nil
			g.open <- nil
		}
		q.finish(time.Now().Add(time.Minute))
		if !slices.Equal(said.text, wantSaid) || !slices.Equal(g.got, wrote) {
			t.Fatalf("said %q, wrote %q", said.text, g.got)
		}
	}
}

func TestTheNumberOfLostLinesIsNotLost(t *testing.T) {
	g := &gate{open: make(chan error)}
	q := newQueue("test", g, nil, true)
	full := errors.New("no space")
	q.put([]byte("a"), true)
	g.open <- full
	q.put([]byte("b"), true)
	g.open <- nil
	g.open <- full // the note itself
	q.put([]byte("c"), true)
	g.open <- nil
	g.open <- nil
	q.finish(time.Now().Add(time.Minute))
	if want := []string{"b", "c", "*** 1 log line(s) lost: test: no space ***\n"}; !slices.Equal(g.got, want) {
		t.Fatalf("wrote %q", g.got)
	}
}

func TestLossesAreToldOnceASecondAtMost(t *testing.T) {
	g := &gate{open: make(chan error)}
	var said sayings
	q := newQueue("test", g, said.say, false)
	const rounds = 50
	for range rounds {
		for _, err := range []error{errors.New("no space"), nil} {
			q.put([]byte("x"), true)
			g.open <- err
		}
	}
	q.finish(time.Now().Add(time.Minute))
	total := 0
	for _, text := range said.text {
		var n int
		if _, err := fmt.Sscanf(text, "*** %d log line(s) lost", &n); err == nil {
			total += n
		}
	}
	if total != rounds || len(said.text) > rounds/2 {
		t.Fatalf("%d of %d lost lines told in %d lines", total, rounds, len(said.text))
	}
}

func TestFailuresAreToldAtTheEndAtTheLatest(t *testing.T) {
	g := &gate{open: make(chan error, 1)}
	var said sayings
	q := newQueue("test", g, said.say, false)
	q.put([]byte("a"), true)
	g.open <- errors.New("gone")
	q.finish(time.Now().Add(time.Minute))
	if want := []string{"test: gone", "*** 1 log line(s) lost: test: gone ***"}; !slices.Equal(said.text, want) {
		t.Fatalf("said %q", said.text)
	}
}

func TestTheEndDoesNotWaitForAStuckLogger(t *testing.T) {
	g := &gate{open: make(chan error)}
	q := newQueue("test", g, (&sayings{}).say, false)
	q.put([]byte("a"), true)
	q.put([]byte("b"), true)
	if lost := q.finish(time.Now()); lost == 0 {
		t.Fatal("nothing was counted")
	}
	close(g.open)
	<-q.done
}
