package shm

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func openTallies(t *testing.T) *Tallies {
	t.Helper()
	file, err := NewTalliesFile()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tallies, err := OpenTallies(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tallies.Close(); err != nil {
			t.Error(err)
		}
	})
	return tallies
}

// sums adds up what there is under each name.
func (t *Tallies) sums(prefix string) map[string][TallyCounters]uint64 {
	all := map[string][TallyCounters]uint64{}
	t.Read(prefix, func(name string, counters [TallyCounters]uint64) {
		sum := all[name]
		for i := range sum {
			sum[i] += counters[i]
		}
		all[name] = sum
	})
	return all
}

func TestTalliesAreAddedUp(t *testing.T) {
	tallies := openTallies(t)
	var group sync.WaitGroup
	for process := range 40 {
		group.Go(func() {
			for _, name := range []string{"a:one", "a:two", "b:one"} {
				counters := tallies.Of(name, process)
				counters[0].Add(1)
				counters[TallyCounters-1].Add(uint64(process))
			}
		})
	}
	group.Wait()
	want := [TallyCounters]uint64{0: 40, TallyCounters - 1: 780}
	if got := tallies.sums("a:"); len(got) != 2 || got["one"] != want || got["two"] != want {
		t.Errorf("%v", got)
	}
	if got := tallies.sums("c:"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if one, other := tallies.Of("a:one", 1), tallies.Of("a:one", 2); one == other || one != tallies.Of("a:one", 1) {
		t.Error("two processes have the same memory, or one has two")
	}
}

func TestTalliesHaveBounds(t *testing.T) {
	tallies := openTallies(t)
	long := strings.Repeat("x", 1000)
	tallies.Of(long, 0)[0].Add(1)
	for n := range 2 * TallyRows {
		tallies.Of(fmt.Sprint("name", n), n)[0].Add(1) // also where there is no room
	}
	all := tallies.sums("")
	if len(all) != TallyRows || all[long[:tallyName]][0] != 1 || all["name7"][0] != 1 {
		t.Errorf("%d names: %v", len(all), all)
	}
	tallies.Of("name7", 3)[0].Add(1)
	if got := tallies.sums("name7"); got[""][0] != 2 {
		t.Errorf("%v", got)
	}
}

// What was killed while it made a row leaves the row unused.
func TestAHalfMadeRowIsSkipped(t *testing.T) {
	tallies := openTallies(t)
	tallies.row(0).state.Store(rowTaken)
	tallies.Of("name", 0)[0].Add(1)
	if got := tallies.sums(""); len(got) != 1 || got["name"][0] != 1 {
		t.Errorf("%v", got)
	}
}

func TestReadingsEndWithTheirProcess(t *testing.T) {
	tallies := openTallies(t)
	read := func(lives func(int) bool) map[string][]int64 {
		found := map[string][]int64{}
		tallies.Readings("pool:", lives, func(name string, values [ReadingValues]int64) { found[name] = append(found[name], values[0]) })
		return found
	}
	all := func(int) bool { return true }
	for pid := 1; pid <= 2; pid++ {
		tallies.Reading("pool:main", pid)[0].Add(int64(pid))
		tallies.Reading("other:main", pid)[0].Add(9)
	}
	if again := tallies.Reading("pool:main", 2); again[0].Load() != 2 {
		t.Errorf("a second look in the same process finds %d", again[0].Load())
	}
	if got := read(all); len(got) != 1 || len(got["main"]) != 2 || got["main"][0] != 1 || got["main"][1] != 2 {
		t.Errorf("%v", got)
	}
	if got := read(func(pid int) bool { return pid == 2 }); len(got["main"]) != 1 || got["main"][0] != 2 {
		t.Errorf("%v", got)
	}
	if fresh := tallies.Reading("pool:main", 1); fresh[0].Load() != 0 {
		t.Errorf("a process with an old one's number begins with %d", fresh[0].Load())
	}
	for pid := range 2 * readingRows { // also where there is no room
		tallies.Reading("pool:many", 10+pid)[0].Add(1)
	}
	if got := read(all); len(got["many"]) == 0 || len(got["many"]) >= readingRows {
		t.Errorf("%d processes", len(got["many"]))
	}
}
