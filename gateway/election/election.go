// Package election has one of several processes lead, as a lock in a database decides. The database's clock is the only one
// that counts: an instant for which one process was confirmed comes before every one for which a later leader is.
package election

import (
	"context"
	"sync"
	"time"
)

// Lock is held by one process at a time, for as long as it is alive. It is used by one goroutine at a time.
type Lock interface {
	// Hold takes the lock if it is free, and confirms it if it is held. An error means that it is not held as far as this
	// process can tell.
	Hold(ctx context.Context) (Grant, error)
	// Close gives the lock back, and ends the connection.
	Close()
}

// Grant is the database's answer to Hold.
type Grant struct {
	Now  time.Time // the database's time
	Held bool
	New  bool // it was not held before
}

const (
	pollEvery   = time.Second     // how often a free lock is looked for, and a held one is confirmed
	pollTimeout = 2 * time.Second // for an answer of the database
)

// Elector takes part in an election, from New to Close.
type Elector struct {
	say     func(problem bool, text string)
	ctx     context.Context // until Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	asking sync.Mutex // orders the answers
	lock   Lock

	mu      sync.Mutex
	since   time.Time // of leading, by the database's clock; zero: this process does not lead
	now     time.Time // the database's, when it was heard last; zero: never yet
	heard   time.Time // when that was
	problem string    // that was told last
}

// New takes part with a lock that is the elector's from now on. say gets lines for a log.
func New(lock Lock, say func(problem bool, text string)) *Elector {
	ctx, cancel := context.WithCancel(context.Background())
	e := &Elector{lock: lock, say: say, ctx: ctx, cancel: cancel}
	e.running.Go(e.poll)
	return e
}

// Close lets another process lead, and waits for what New has started.
func (e *Elector) Close() {
	e.cancel()
	e.running.Wait()
	e.asking.Lock()
	defer e.asking.Unlock()
	e.lock.Close()
	e.lead(Grant{}, nil)
}

func (e *Elector) poll() {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		e.ask()
		select {
		case <-e.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// ask asks the database; only its answer makes this process lead, and without one it does not.
func (e *Elector) ask() (Grant, time.Time) {
	e.asking.Lock()
	defer e.asking.Unlock()
	limited, cancel := context.WithTimeout(e.ctx, pollTimeout)
	defer cancel()
	grant, err := e.lock.Hold(limited)
	if err != nil && e.ctx.Err() != nil { // nobody wants to know any more
		return Grant{}, e.lead(Grant{}, nil)
	}
	return grant, e.lead(grant, err)
}

// lead notes an answer, and returns since when this process leads.
func (e *Elector) lead(grant Grant, err error) time.Time {
	e.mu.Lock()
	led := !e.since.IsZero()
	switch {
	case err != nil || !grant.Held:
		e.since = time.Time{}
	case grant.New || !led:
		e.since = grant.Now
	}
	since := e.since
	if err == nil && !grant.Now.IsZero() {
		e.now, e.heard = grant.Now, time.Now()
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	again := text == e.problem
	e.problem = text
	e.mu.Unlock()
	if text != "" && !again {
		e.say(true, text)
	}
	if leads := !since.IsZero(); leads != led {
		e.say(false, map[bool]string{true: "this instance leads", false: "this instance does not lead any more"}[leads])
	}
	return since
}

// Now is the database's time; false: it was never heard yet.
func (e *Elector) Now() (time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now.Add(time.Since(e.heard)), !e.now.IsZero()
}

// Leads tells whether this process led when the database was asked last.
func (e *Elector) Leads() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.since.IsZero()
}

// Confirm asks the database whether this process is the one to act for an instant, which must not be in the future: true for
// one process at most, and for one that leads since before then. now is the database's time; it is before the instant if the
// database's clock is behind what Now had made of it, and then the answer is false.
func (e *Elector) Confirm(instant time.Time) (now time.Time, ok bool) {
	if !e.Leads() {
		return time.Time{}, false
	}
	grant, since := e.ask()
	return grant.Now, !since.IsZero() && since.Before(instant) && !grant.Now.Before(instant)
}
