package logging

import (
	"bytes"
	"sync"
	"time"

	"envoxyd/internal/workerspec"
)

// kind tells what wrote a record.
type kind uint8

const (
	foreign kind = iota // the application, a daemon, a command
	own                 // the server
	request             // the server, about a request
)

// record is what a process has logged: a line, or several that belong together.
type record struct {
	text   []byte
	at     time.Time
	source string // of the inlet: "app", "gateway", "daemon" …
	pid    int32  // of the process; 0: unknown
	kind   kind
}

// unmark takes the mark off a line of a worker's.
func unmark(data []byte) (kind, []byte) {
	if len(data) > 1 {
		switch data[0] {
		case workerspec.LineMark:
			return own, data[1:]
		case workerspec.RequestMark:
			return request, data[1:]
		}
	}
	return foreign, data
}

// sender is what the master knows of a process that logs.
type sender struct {
	role   string // "worker", "mule", "spooler", "zygote"
	number int    // 0: it has none
}

// rememberedSenders is how many processes are remembered after their end: what they wrote
// last may be read later.
const rememberedSenders = 64

// senders are the processes that the master has forked, by pid.
type senders struct {
	mu    sync.RWMutex
	known map[int32]*sender
	gone  []departed // the oldest first
}

type departed struct {
	pid int32
	was *sender
}

func (s *senders) add(pid int32, role string, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[int32]*sender{}
	}
	s.known[pid] = &sender{role, number}
}

// drop forgets a process, but not at once.
func (s *senders) drop(pid int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.known[pid]
	if was == nil {
		return
	}
	s.gone = append(s.gone, departed{pid, was})
	if len(s.gone) <= rememberedSenders {
		return
	}
	if oldest := s.gone[0]; s.known[oldest.pid] == oldest.was { // else the number is another process's by now
		delete(s.known, oldest.pid)
	}
	s.gone = append(s.gone[:0], s.gone[1:]...)
}

func (s *senders) find(pid int32) sender {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if found := s.known[pid]; found != nil {
		return *found
	}
	return sender{}
}

// Know notes which process has this number: "worker" 3, "mule" 1.
func (l *Log) Know(pid int, role string, number int) { l.senders.add(int32(pid), role, number) }

// Forget is told that the process has ended.
func (l *Log) Forget(pid int) { l.senders.drop(int32(pid)) }

// withoutEnd is a text without its line break.
func withoutEnd(text []byte) []byte { return bytes.TrimSuffix(text, newline) }
