package signaling

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestTargets(t *testing.T) {
	fleet := Fleet{Workers: 3, Active: func(n int) bool { return n != 2 }, Mules: 2, Farms: []string{"crunch", "2"}, Spooler: true}
	for target, want := range map[string][]string{
		"": {"worker"}, "worker": {"worker"}, "worker0": {"worker"}, "workers": {"worker 1", "worker 2", "worker 3"},
		"active-workers": {"worker 1", "worker 3"}, "worker3": {"worker 3"}, "mules": {"mule 1", "mule 2"}, "mule": {"mule"}, "mule0": {"mule"},
		"mule2": {"mule 2"}, "spooler": {"spooler"}, "farm_crunch": {"farm crunch"}, "farm1": {"farm crunch"}, "farm_2": {"farm 2"}, "farm2": {"farm 2"},
		"worker4": nil, "mule3": nil, "farm3": nil, "farm0": nil, "farm_": nil, "worker+1": nil, "subscribed": nil, "nonsense": nil,
	} {
		queues, err := fleet.Queues(target)
		if !slices.Equal(queues, want) || (err != nil) != (want == nil) || err != nil && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%q: %q, %v; want %q", target, queues, err, want)
		}
	}
	for _, target := range []string{"mule", "spooler"} {
		if _, err := (Fleet{}).Queues(target); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s where there is none: %v", target, err)
		}
	}
}

func TestTicksDoNotPileUp(t *testing.T) {
	queues := &rooms{room: 1, got: map[string][]byte{}}
	r := NewRouter(queues)
	for range 100 {
		for signal := range byte(2) {
			if err := r.Tick(signal, "worker1", Fleet{Workers: 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = r.Route(1, "worker1", Fleet{Workers: 1}) // not by itself: it counts
	queues.room = 1000
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := []byte{0, 1, 0, 1}; !slices.Equal(queues.got["worker 1"], want) {
		t.Errorf("worker 1 got %v, want %v", queues.got["worker 1"], want)
	}
}

// rooms are queues with room for so many signals each.
type rooms struct {
	room int
	got  map[string][]byte
	gone string
}

func (r *rooms) Send(queue string, signal byte) error {
	if queue == r.gone {
		return os.ErrClosed
	}
	if len(r.got[queue]) >= r.room {
		return ErrFull
	}
	r.got[queue] = append(r.got[queue], signal)
	return nil
}

func TestNoSignalIsLostOrOvertakesAnother(t *testing.T) {
	queues := &rooms{room: 2, got: map[string][]byte{}, gone: "worker 2"}
	r := NewRouter(queues)
	for signal := range byte(5) {
		if err := r.Route(signal, "worker1", Fleet{Workers: 2}); err != nil {
			t.Fatal(err)
		}
	}
	if r.Waiting() != 3 {
		t.Errorf("%d are waiting", r.Waiting())
	}
	queues.room = 4
	_ = r.Flush()
	if err := r.Route(9, "workers", Fleet{Workers: 2}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("one of two queues has gone: %v", err)
	}
	queues.room = 10
	if err := r.Flush(); err != nil || r.Waiting() != 0 {
		t.Errorf("%v, %d are waiting", err, r.Waiting())
	}
	if want := []byte{0, 1, 2, 3, 4, 9}; !slices.Equal(queues.got["worker 1"], want) {
		t.Errorf("worker 1 got %v, want %v", queues.got["worker 1"], want)
	}
	if r.Routed != 5 || r.Lost != 1 {
		t.Errorf("%d routed, %d lost", r.Routed, r.Lost)
	}
}

func TestBacklogHasABound(t *testing.T) {
	r := NewRouter(&rooms{})
	for range backlog {
		if err := r.Route(1, "", Fleet{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Route(1, "", Fleet{}); !errors.Is(err, ErrFull) || r.Lost != 1 {
		t.Errorf("%v, %d lost", err, r.Lost)
	}
}

// listen returns a channel of what is raised.
func listen(t *testing.T, s *Schedule) <-chan byte {
	t.Helper()
	raised := make(chan byte)
	err := s.Start(func(signal byte, stopped <-chan struct{}) {
		select {
		case raised <- signal:
		case <-stopped:
		}
	})
	if err != nil {
		t.Log(err)
	}
	t.Cleanup(s.Stop)
	return raised
}

func TestTimersRaiseAsOftenAsTheyAreTo(t *testing.T) {
	var s Schedule
	if err := s.AddTimer(1, time.Millisecond, 3); err != nil {
		t.Fatal(err)
	}
	raised := listen(t, &s)
	if err := s.AddTimer(2, 2*time.Millisecond, 0); err != nil { // while it runs
		t.Fatal(err)
	}
	counts := map[byte]int{}
	for counts[2] < 20 {
		counts[<-raised]++
	}
	if counts[1] != 3 {
		t.Errorf("the timer for three times was raised %d times", counts[1])
	}
	s.Stop() // it does not wait for somebody to take what was raised
	for i := len(s.timers); i < 2*Most; i++ {
		if err := s.AddTimer(1, time.Hour, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddTimer(1, time.Hour, 0); !errors.Is(err, ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
}

func TestAChangedFileRaisesItsSignal(t *testing.T) {
	dir := t.TempDir()
	var s Schedule
	if err := s.AddFile(7, dir); err != nil {
		t.Fatal(err)
	}
	raised := listen(t, &s)
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-raised; got != 7 {
		t.Errorf("signal %d", got)
	}
	for i := 1; i < Most; i++ {
		if err := s.AddFile(1, dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddFile(1, dir); !errors.Is(err, ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
}
