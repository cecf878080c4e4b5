package nodes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// clock is a time that the test moves.
type clock struct{ now time.Time }

func newTable(s Settings) (*Table, *clock) {
	c := &clock{time.Unix(1_000_000, 0)}
	s.Now = func() time.Time { return c.now }
	if s.Grace == 0 {
		s.Grace = 30 * time.Second
	}
	if s.Tolerance == 0 {
		s.Tolerance = 17 * time.Second
	}
	return NewTable(s), c
}

func announce(t *testing.T, table *Table, all ...Announcement) {
	t.Helper()
	for _, a := range all {
		if _, err := table.Announce(a); err != nil {
			t.Fatal(err)
		}
	}
}

// sequence is who gets n requests for a key; each is finished at once.
func sequence(table *Table, key string, n int) string {
	var got []string
	for range n {
		node, said := table.Pick(key, "192.0.2.1", nil)
		if node == nil {
			got = append(got, "-")
			continue
		}
		table.Done(node, 0, 0)
		got = append(got, said.Address)
	}
	return strings.Join(got, "")
}

func TestNodesTakeTurnsByTheirWeights(t *testing.T) {
	table, _ := newTable(Settings{})
	announce(t, table, Announcement{Key: "k", Address: "a", Weight: 3}, Announcement{Key: "k", Address: "b"}, Announcement{Key: "k", Address: "c", Weight: -5})
	got := sequence(table, "k", 10)
	if a, b, c := strings.Count(got, "a"), strings.Count(got, "b"), strings.Count(got, "c"); a != 6 || b != 2 || c != 2 {
		t.Errorf("%s: weights 3, 1 and 1 got %d, %d and %d of 10", got, a, b, c)
	}
	if strings.Contains(got, "aaaa") {
		t.Errorf("%s is not smooth", got)
	}
}

func TestStaticNodesTakeTurns(t *testing.T) {
	table, _ := newTable(Settings{})
	table.SetStatic([]string{"a", "b", "c"})
	if got := sequence(table, "whatever", 6); got != "abcabc" {
		t.Errorf("turns: %s", got)
	}
}

func TestKeysAreFoundAsSettingsSay(t *testing.T) {
	for _, c := range []struct {
		settings Settings
		key      string
		want     string
	}{
		{Settings{}, "example.com", "a"},
		{Settings{}, "EXAMPLE.com", "a"},
		{Settings{}, "www.example.com", "-"},
		{Settings{}, "example.com:80", "-"},
		{Settings{}, "", "-"},
		{Settings{DotSplit: true}, "www.eu.example.com", "a"},
		{Settings{DotSplit: true}, "com", "-"},
		{Settings{DotSplit: true}, "example.com.", "-"},
		{Settings{Fallback: "other"}, "unknown", "b"},
		{Settings{Fallback: "absent"}, "unknown", "-"},
		{Settings{Fallback: "other"}, "example.com", "a"},
	} {
		table, _ := newTable(c.settings)
		announce(t, table, Announcement{Key: "Example.com", Address: "a"}, Announcement{Key: "other", Address: "b"})
		if got := sequence(table, c.key, 1); got != c.want {
			t.Errorf("%+v: %q goes to %s, want %s", c.settings, c.key, got, c.want)
		}
	}
}

func TestCertificatesAreThoseOfExactlyTheKey(t *testing.T) {
	table := NewTable(Settings{DotSplit: true, Fallback: "a.test", Now: time.Now})
	for _, a := range []Announcement{{Key: "a.test", Address: "1"}, {Key: "a.test", Address: "2", SNIKey: "k", SNICert: "c"}, {Key: "b.test", Address: "3", SNIKey: "k"}} {
		if _, err := table.Announce(a); err != nil {
			t.Fatal(err)
		}
	}
	for key, address := range map[string]string{"a.test": "2", "A.TEST": "2", "www.a.test": "", "b.test": "", "c.test": ""} {
		if a, there := table.Named(key); a.Address != address || there != (address != "") {
			t.Errorf("%s: %+v, %v", key, a, there)
		}
	}
}

func TestAFailedNodeIsLeftAloneForTheGraceTime(t *testing.T) {
	table, clock := newTable(Settings{Grace: 30 * time.Second})
	table.SetStatic([]string{"a", "b"})
	a, said := table.Pick("", "", nil)
	if said.Address != "a" {
		t.Fatalf("first is %q", said.Address)
	}
	if news, retries := table.Failed(a); !news || retries != 0 {
		t.Errorf("the first failure: news %v, retries %d", news, retries)
	}
	if news, retries := table.Failed(a); news || retries != 1 {
		t.Errorf("the second failure: news %v, retries %d", news, retries)
	}
	if got := sequence(table, "", 4); got != "bbbb" {
		t.Errorf("while a is left alone: %s", got)
	}
	clock.now = clock.now.Add(30 * time.Second)
	if got := sequence(table, "", 4); strings.Count(got, "a") != 2 {
		t.Errorf("after the grace time: %s", got)
	}
}

func TestAFailedNodeIsBetterThanNone(t *testing.T) {
	table, clock := newTable(Settings{})
	table.SetStatic([]string{"a", "b"})
	a, _ := table.Pick("", "", nil)
	table.Failed(a)
	clock.now = clock.now.Add(time.Second)
	b, _ := table.Pick("", "", []*Node{a})
	table.Failed(b)
	again, said := table.Pick("", "", nil)
	if again != a {
		t.Errorf("%q is tried, though a has been away for longer", said.Address)
	}
	if n, _ := table.Pick("", "", []*Node{a, b}); n != nil {
		t.Error("a node is tried twice for one request")
	}
	table.Reached(a)
	if got := sequence(table, "", 2); got != "aa" {
		t.Errorf("after a has answered: %s", got)
	}
}

func TestAnAnnouncementEndsAFailure(t *testing.T) {
	table, _ := newTable(Settings{})
	announce(t, table, Announcement{Key: "k", Address: "a"}, Announcement{Key: "k", Address: "b"})
	a, _ := table.Pick("k", "", nil)
	table.Failed(a)
	if got := sequence(table, "k", 2); got != "bb" {
		t.Fatalf("before: %s", got)
	}
	announce(t, table, Announcement{Key: "k", Address: "a"})
	if got := sequence(table, "k", 2); !strings.Contains(got, "a") {
		t.Errorf("after: %s", got)
	}
}

func TestANodeThatLeavesGetsNothingAndFinishesWhatItHas(t *testing.T) {
	table, _ := newTable(Settings{})
	announce(t, table, Announcement{Key: "k", Address: "a"}, Announcement{Key: "k", Address: "b"})
	a, _ := table.Pick("k", "", nil)
	if !table.Withdraw("K", "a") || table.Withdraw("k", "a") || table.Withdraw("absent", "a") {
		t.Error("Withdraw says what is not so")
	}
	if got := sequence(table, "k", 3); got != "bbb" {
		t.Errorf("after a has left: %s", got)
	}
	table.Done(a, 1, 1)
	if news, _ := table.Failed(a); news {
		t.Error("the end of a node that has left is news")
	}
	if !table.Withdraw("k", "b") || !table.Empty() {
		t.Error("something is left")
	}
}

func TestSilentNodesAreDropped(t *testing.T) {
	table, clock := newTable(Settings{Tolerance: 17 * time.Second})
	announce(t, table, Announcement{Key: "k", Address: "a"}, Announcement{Key: "k", Address: "b"})
	clock.now = clock.now.Add(10 * time.Second)
	announce(t, table, Announcement{Key: "k", Address: "b"})
	clock.now = clock.now.Add(8 * time.Second)
	if dropped := table.Expire(); len(dropped) != 1 || dropped[0].Address != "a" {
		t.Errorf("dropped: %v", dropped)
	}
	if all := table.Announced(); len(all) != 1 || all[0].Address != "b" {
		t.Errorf("left: %v", all)
	}
}

func TestBackupsServeWhenNothingElseDoes(t *testing.T) {
	table, _ := newTable(Settings{})
	announce(t, table, Announcement{Key: "k", Address: "b", Backup: 1}, Announcement{Key: "k", Address: "a"}, Announcement{Key: "k", Address: "c", Backup: 2})
	if got := sequence(table, "k", 3); got != "aaa" {
		t.Fatalf("all there: %s", got)
	}
	table.Withdraw("k", "a")
	if got := sequence(table, "k", 3); got != "bbb" {
		t.Errorf("without a: %s", got)
	}
}

func TestAlgorithms(t *testing.T) {
	three := []Announcement{{Key: "k", Address: "a"}, {Key: "k", Address: "b", Weight: 2}, {Key: "k", Address: "c"}}
	t.Run("the fewest in hand", func(t *testing.T) {
		table, _ := newTable(Settings{Algorithm: LeastReferences})
		announce(t, table, three...)
		first, _ := table.Pick("k", "", nil)
		second, _ := table.Pick("k", "", nil)
		third, _ := table.Pick("k", "", nil)
		if first == second || second == third || first == third {
			t.Fatal("three requests at once are not at three nodes")
		}
		table.Done(second, 0, 0)
		if again, _ := table.Pick("k", "", nil); again != second {
			t.Error("the idle node does not get the next one")
		}
	})
	t.Run("by weight", func(t *testing.T) {
		table, _ := newTable(Settings{Algorithm: WeightedReferences})
		announce(t, table, three...)
		count := map[string]int{}
		for range 8 {
			_, said := table.Pick("k", "", nil)
			count[said.Address]++
		}
		if count["a"] != 2 || count["b"] != 4 || count["c"] != 2 {
			t.Errorf("8 at once: %v", count)
		}
	})
	t.Run("by the client", func(t *testing.T) {
		table, _ := newTable(Settings{Algorithm: ClientHash})
		announce(t, table, three...)
		seen := map[string]bool{}
		for i := range 50 {
			client := fmt.Sprintf("192.0.2.%d", i)
			_, one := table.Pick("k", client, nil)
			_, two := table.Pick("k", client, nil)
			if one != two {
				t.Fatalf("%s goes to %s and to %s", client, one.Address, two.Address)
			}
			seen[one.Address] = true
		}
		if len(seen) != 3 {
			t.Errorf("50 clients went to %v", seen)
		}
	})
	t.Run("of the announcement", func(t *testing.T) {
		table, _ := newTable(Settings{})
		announce(t, table, Announcement{Key: "k", Address: "a", Algorithm: "iphash"}, Announcement{Key: "k", Address: "b", Algorithm: "nonsense"})
		if p := table.pools["k"]; p.algorithm != ClientHash {
			t.Errorf("algorithm %q", p.algorithm)
		}
	})
}

func TestATableIsBounded(t *testing.T) {
	table, _ := newTable(Settings{})
	for i := range MaxNodes {
		if _, err := table.Announce(Announcement{Key: fmt.Sprint(i % 100), Address: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		if i > 2000 { // what follows needs no table that is really that large
			table.count = MaxNodes
			break
		}
	}
	if _, err := table.Announce(Announcement{Key: "k", Address: "one more"}); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
	if _, err := table.Announce(Announcement{Key: "1", Address: "1"}); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	for _, a := range []Announcement{{Key: "k"}, {Address: "a"}} {
		if _, err := table.Announce(a); !errors.Is(err, ErrNoKey) {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// The numbers are those that uWSGI 2.0.31 shows.
func TestStatusSpeaksAsUWSGIDoes(t *testing.T) {
	table, clock := newTable(Settings{})
	announce(t, table, Announcement{Key: "example.com", Address: "a", Modifier1: 5}, Announcement{Key: "Example.com:1", Address: "b"})
	n, _ := table.Pick("example.com", "", nil)
	table.Done(n, 10, 20)
	table.Failed(n)
	_, pools := table.Status()
	keys := []string{}
	for _, p := range pools {
		keys = append(keys, p.Key)
	}
	if !slices.Equal(keys, []string{"Example.com:1", "example.com"}) || pools[1].Hash != 30778 || pools[1].Hits != 1 {
		t.Errorf("pools: %+v", pools)
	}
	want := NodeStatus{Name: "a", Modifier1: 5, LastCheck: clock.now.Unix(), Requests: 1, Recent: 1, TX: 20, RX: 10, Weight: 1, Failures: 1, Failed: 1}
	if got := pools[1].Nodes[0]; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	table.SetStatic([]string{"s"})
	static, _ := table.Pick("x", "", nil)
	table.Failed(static)
	if got, _ := table.Status(); len(got) != 1 || got[0] != (StaticStatus{Name: "s", Hits: 1, Grace: clock.now.Unix()}) {
		t.Errorf("static: %+v", got)
	}
}
