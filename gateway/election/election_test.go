package election

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// database is one that has a lock, and a clock that may differ from ours.
type database struct {
	mu    sync.Mutex
	ahead time.Duration
	owner *fake
	down  error
}

type fake struct {
	*database
	held bool
}

func (f *fake) Hold(context.Context) (Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		f.held = false
		return Grant{}, f.down
	}
	fresh := !f.held
	if f.owner == nil {
		f.owner = f
	}
	f.held = f.owner == f
	return Grant{Now: time.Now().Add(f.ahead), Held: f.held, New: f.held && fresh}, nil
}

func (f *fake) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.owner == f {
		f.owner = nil
	}
}

func (d *database) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func quiet(bool, string) {}

func TestOneLeadsAndAnotherFollowsWhenItLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &database{ahead: time.Hour}
		first := New(&fake{database: d}, quiet)
		synctest.Wait()
		second := New(&fake{database: d}, quiet)
		defer second.Close()
		time.Sleep(3 * time.Second)
		if !first.Leads() || second.Leads() {
			t.Fatal("the first one does not lead alone")
		}
		if now, known := second.Now(); !known || time.Until(now).Round(time.Minute) != time.Hour {
			t.Errorf("the time is not the database's: %v %v", now, known)
		}
		first.Close()
		time.Sleep(2 * time.Second)
		if !second.Leads() {
			t.Error("nobody has followed")
		}
	})
}

func TestAnInstantIsConfirmedForOneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		first, second := New(&fake{database: d}, quiet), New(&fake{database: d}, quiet)
		defer func() { second.Close() }()
		time.Sleep(5 * time.Second)
		if !first.Leads() {
			first, second = second, first
		}
		instant := time.Now()
		if _, ok := first.Confirm(instant); !ok {
			t.Error("not confirmed for the one that leads")
		}
		if _, ok := second.Confirm(instant); ok {
			t.Error("confirmed for another")
		}
		if now, ok := first.Confirm(instant.Add(time.Millisecond)); ok || now.IsZero() {
			t.Errorf("confirmed for the future: %v", now)
		}
		first.Close()
		time.Sleep(2 * time.Second)
		if _, ok := second.Confirm(instant); ok {
			t.Error("confirmed for a second time, by the next one")
		}
		if _, ok := second.Confirm(time.Now()); !ok {
			t.Error("not confirmed for the next one's own time")
		}
	})
}

func TestWithoutTheDatabaseNobodyLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		var said []string
		e := New(&fake{database: d}, func(problem bool, text string) { said = append(said, text) })
		time.Sleep(time.Second)
		before := time.Now()
		d.set(func() { d.down = errors.New("gone") })
		if _, ok := e.Confirm(before); ok {
			t.Error("confirmed without the database")
		}
		time.Sleep(10 * time.Second)
		if e.Leads() {
			t.Error("it leads without the database")
		}
		d.set(func() { d.down = nil })
		time.Sleep(2 * time.Second)
		if !e.Leads() {
			t.Error("it does not lead again")
		}
		if _, ok := e.Confirm(before); ok {
			t.Error("what was before it led is confirmed: another may have led meanwhile")
		}
		e.Close()
		want := []string{"this instance leads", "gone", "this instance does not lead any more", "this instance leads", "this instance does not lead any more"}
		if len(said) != len(want) {
			t.Fatalf("said: %q", said)
		}
		for i := range want {
			if said[i] != want[i] {
				t.Errorf("said: %q, want %q", said[i], want[i])
			}
		}
	})
}
