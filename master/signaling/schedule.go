package signaling

import (
	"errors"
	"sync"
	"time"

	"envoxyd/master/filewatch"
)

// Most is how many timers, red-black timers, cron entries and file monitors there may be, each; uWSGI's number.
const Most = 64

// ErrTooMany is returned beyond that.
var ErrTooMany = errors.New("too many timers or monitors")

// Schedule raises signals by the clock and when files change, from Start to Stop.
type Schedule struct {
	timers []timer
	files  []watchedFile

	mu      sync.Mutex
	running bool
	stops   []func()
	done    sync.WaitGroup
	raise   Raise
}

// Raise raises a signal. It may wait, but not for longer than until stopped is closed.
type Raise func(signal byte, stopped <-chan struct{})

type timer struct {
	signal byte
	every  time.Duration
	times  int
}

type watchedFile struct {
	signal byte
	path   string
}

// AddTimer raises the signal each time that long has passed, times times; 0: without end.
func (s *Schedule) AddTimer(signal byte, every time.Duration, times int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.timers) >= 2*Most { // timers and red-black timers
		return ErrTooMany
	}
	t := timer{signal, max(every, time.Millisecond), times}
	s.timers = append(s.timers, t)
	if s.running {
		s.startTimer(t)
	}
	return nil
}

// AddFile raises the signal when the file changes, or what the directory holds; a path that is not there is waited for.
func (s *Schedule) AddFile(signal byte, path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) >= Most {
		return ErrTooMany
	}
	f := watchedFile{signal, path}
	s.files = append(s.files, f)
	if s.running {
		return s.startFile(f)
	}
	return nil
}

// Start begins with all that was added; raise is called from goroutines of the schedule's own.
func (s *Schedule) Start(raise Raise) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return nil
	}
	s.running, s.raise = true, raise
	for _, t := range s.timers {
		s.startTimer(t)
	}
	var errs []error
	for _, f := range s.files {
		errs = append(errs, s.startFile(f))
	}
	return errors.Join(errs...)
}

// Stop ends all of it. When it returns, raise is not called any more, and will not be.
func (s *Schedule) Stop() {
	s.mu.Lock()
	stops := s.stops
	s.stops, s.running = nil, false
	s.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	s.done.Wait()
}

func (s *Schedule) startTimer(t timer) {
	ended := make(chan struct{})
	s.stops = append(s.stops, sync.OnceFunc(func() { close(ended) }))
	s.done.Go(func() {
		ticker := time.NewTicker(t.every) // what the receiver misses is one signal, as with uWSGI's
		defer ticker.Stop()
		for left := t.times; ; {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			s.raise(t.signal, ended)
			if left > 0 {
				if left--; left == 0 {
					return
				}
			}
		}
	})
}

func (s *Schedule) startFile(f watchedFile) error {
	watch, err := filewatch.New(f.path, 0, func(stopped <-chan struct{}) { s.raise(f.signal, stopped) })
	if err != nil {
		return err
	}
	s.stops = append(s.stops, watch.Stop)
	return nil
}
