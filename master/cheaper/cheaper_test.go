package cheaper

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var began = time.Unix(1_800_000_000, 0)

// crew makes workers of one letter each: c cheap, s starting, i idle, b busy.
func crew(letters string) []Worker {
	states := map[rune]State{'c': Cheap, 's': Starting, 'i': Idle, 'b': Busy}
	var workers []Worker
	for i, letter := range letters {
		workers = append(workers, Worker{ID: i + 1, State: states[letter], Started: began.Add(time.Duration(i) * time.Second)})
	}
	return workers
}

// replay shows a policy one crew a second, "bbc" or "bbc:40" with a queue of 40, and returns what it answers.
func replay(p Policy, seconds string) (answers []int) {
	for i, text := range strings.Fields(seconds) {
		letters, queue, _ := strings.Cut(text, ":")
		s := &Situation{Now: began.Add(time.Duration(i) * time.Second), Workers: crew(letters)}
		if queue != "" {
			if _, err := fmt.Sscan(queue, &s.Queue); err != nil {
				panic(err)
			}
		}
		change, _ := p.Poll(s)
		answers = append(answers, change)
	}
	return answers
}

func TestPoliciesInRecordedSituations(t *testing.T) {
	for name, c := range map[string]struct {
		policy   string
		settings Settings
		seconds  string
		want     []int
	}{
		"spare adds when all have been busy for long enough": {"spare", Settings{Least: 1, Step: 2, Overload: 3},
			"bcc bcc bcc bii", []int{0, 0, 2, 0}},
		"spare forgets slowly that all were busy": {"spare", Settings{Least: 1, Overload: 3},
			"bcc bcc icc bcc bcc", []int{0, 0, 0, 0, 1}},
		"spare leaves one idle worker alone": {"spare", Settings{Least: 1, Overload: 1},
			"bic bic bic", []int{0, 0, 0}},
		"spare takes one of several idle ones away, then another": {"spare", Settings{Least: 1, Overload: 2},
			"iii iii iii iii iii", []int{0, 0, -1, 0, -1}},
		"spare does not count a start as overload": {"spare", Settings{Least: 1, Overload: 1},
			"bsc bsc", []int{0, 0}},
		"spare takes an overload of 0 for 1": {"spare", Settings{Least: 1}, "bc", []int{1}},
		"spare2 fills up what is missing, by steps": {"spare2", Settings{Least: 3, Step: 2, Idle: 2},
			"bbbccc bbbiic bbbiii", []int{2, 1, 0}},
		"spare2 waits for the ones that start": {"spare2", Settings{Least: 2, Step: 5, Idle: 2}, "bssc", []int{0}},
		"spare2 takes one away after so long with too many": {"spare2", Settings{Least: 1, Step: 1, Idle: 2},
			"bii bii bii biic", []int{0, -1, 0, -1}},
		"backlog follows the queue": {"backlog", Settings{Least: 1, Step: 2, Overload: 3},
			"bc:4 bc:3 bc:2 bc", []int{2, 0, -1, -1}},
		"manual does nothing": {"manual", Settings{Least: 1}, "bc:99 bi ii", []int{0, 0, 0}},
		"busyness adds at an alert, each second": {"busyness", Settings{Least: 1, Overload: 9, Busyness: BusynessSettings{Max: 50, Min: 25, Multiplier: 9, BacklogAlert: 33, BacklogStep: 2}},
			"bcccc:32 bcccc:33 bbbcc:40 bbbbb:0", []int{0, 2, 2, 0}},
		"busyness adds when connections have waited for long": {"busyness", Settings{Least: 1, Step: 1, Overload: 9, Busyness: BusynessSettings{Max: 50, Min: 25, Multiplier: 9, BacklogAlert: 33, BacklogNonzero: 2}},
			"bccc:1 bccc bccc:1 bccc:1 bccc:1 bbcc:1", []int{0, 0, 0, 0, 1, 0}},
	} {
		p, known := New(c.policy, c.settings)
		if got := replay(p, c.seconds); !known || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// windows shows the busyness policy windows of one second, in each of which every
// active worker is busy for so many percent, and returns the numbers of workers that follow.
func windows(p Policy, limits Limits, workers int, active int, percents ...int) (numbers []int) {
	spent := make([]time.Duration, workers)
	for i, percent := range append([]int{0}, percents...) {
		s := &Situation{Now: began.Add(time.Duration(i) * time.Second)}
		for id := range workers {
			state := Cheap
			if id < active {
				state = Idle
				spent[id] += time.Duration(percent) * 10 * time.Millisecond
			}
			s.Workers = append(s.Workers, Worker{ID: id + 1, State: state, InRequests: spent[id]})
		}
		change, _ := p.Poll(s)
		start, stop := limits.Choose(s, limits.Bound(s, change))
		active += len(start) - len(stop)
		if i > 0 {
			numbers = append(numbers, active)
		}
	}
	return numbers
}

func TestBusynessFollowsTheTimeSpentInRequests(t *testing.T) {
	set := BusynessSettings{Max: 50, Min: 25, Multiplier: 2, Penalty: 2}
	for name, c := range map[string]struct {
		active   int
		percents []int
		want     []int
	}{
		"grows while busy, up to all":          {1, []int{51, 100, 90, 90}, []int{2, 3, 4, 4}},
		"stays between the marks":              {2, []int{50, 25, 30, 40}, []int{2, 2, 2, 2}},
		"shrinks after quiet windows in a row": {3, []int{10, 30, 10, 10, 0, 0, 0}, []int{3, 3, 3, 2, 2, 1, 1}},
		"is slower when it was premature":      {3, []int{10, 10, 80, 10, 10, 10, 10}, []int{3, 2, 3, 3, 3, 3, 2}},
	} {
		p, _ := New("busyness", Settings{Least: 1, Step: 1, Overload: 1, Busyness: set})
		if got := windows(p, Limits{Least: 1}, 4, c.active, c.percents...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestARequestThatNeverEndsCountsAsBusy(t *testing.T) {
	p, _ := New("busyness", Settings{Least: 1, Step: 1, Overload: 2, Busyness: BusynessSettings{Max: 50, Min: 25, Multiplier: 3, Verbose: true}})
	for i := range 3 {
		s := &Situation{Now: began.Add(time.Duration(i) * time.Second), Workers: []Worker{
			{ID: 1, State: Busy, InRequests: time.Duration(i) * 4 * time.Second}, {ID: 2, State: Cheap}}}
		change, note := p.Poll(s)
		if want := i / 2; change != want || (note != "") != (want > 0) {
			t.Fatalf("second %d: %+d, %q", i, change, note)
		}
		if i == 2 && !strings.Contains(note, "100% average") { // four cores of one worker are one interpreter
			t.Fatalf("the note says %q", note)
		}
	}
}

func TestWorkersAddedForTheBacklogGoSoonerThanOthers(t *testing.T) {
	p, _ := New("busyness", Settings{Least: 1, Step: 1, Overload: 1, Busyness: BusynessSettings{
		Max: 50, Min: 25, Multiplier: 9, BacklogAlert: 10, BacklogStep: 1, BacklogMultiplier: 2}})
	got := replay(p, "bcc:10 iic iic iic icc icc icc")
	if want := []int{1, 0, 0, -1, 0, 0, 0}; !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func TestWhoStartsAndWhoGoes(t *testing.T) {
	for name, c := range map[string]struct {
		crew        string
		least       int
		change      int
		start, stop []int
	}{
		"the lowest numbers start":            {"bcicc", 1, 2, []int{2, 4}, nil},
		"no more than there are":              {"bbc", 1, 5, []int{3}, nil},
		"the longest serving idle ones go":    {"biib", 1, -1, nil, []int{2}},
		"busy and starting ones stay":         {"bsb", 1, -2, nil, nil},
		"the least number stays":              {"iiii", 3, -3, nil, []int{1}},
		"nobody goes from the least number":   {"iic", 2, -1, nil, nil},
		"nobody comes or goes without change": {"bic", 1, 0, nil, nil},
	} {
		s := &Situation{Workers: crew(c.crew)}
		if start, stop := (Limits{Least: c.least}).Choose(s, c.change); !slices.Equal(start, c.start) || !slices.Equal(stop, c.stop) {
			t.Errorf("%s: %v and %v, want %v and %v", name, start, stop, c.start, c.stop)
		}
	}
}

func TestMemoryBoundsTheNumberOfWorkers(t *testing.T) {
	for _, c := range []struct {
		soft, hard, rss int64
		change, want    int
	}{
		{0, 0, 1 << 40, 2, 2},
		{0, 10, 20, 2, 2}, // the hard limit alone is not looked at
		{10, 0, 9, 2, 2},
		{10, 0, 10, 2, 0},
		{10, 0, 10, -1, -1},
		{10, 20, 19, 1, 0},
		{10, 20, 20, 1, -1},
	} {
		if got := (Limits{Least: 1, RSSSoft: c.soft, RSSHard: c.hard}).Bound(&Situation{RSS: c.rss}, c.change); got != c.want {
			t.Errorf("%+v: %+d", c, got)
		}
	}
}

func TestAnUnknownNameIsSpare(t *testing.T) {
	p, known := New("nonsense", Settings{Least: 1})
	if _, is := p.(*spare); known || !is {
		t.Fatalf("%T, %v", p, known)
	}
}
