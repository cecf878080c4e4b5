package logging

import (
	"bytes"
	"time"
)

// A line that is begun and not ended is waited for this long, and up to this size.
const (
	partTime = 200 * time.Millisecond
	partSize = 1 << 20
)

// assembler puts together the lines that processes write in pieces, so that nobody
// else's line comes in between.
type assembler struct {
	lines      bool // each line is a record; otherwise what ends with a line break is, as it was written
	tracebacks bool // the lines of one are one record
	cut        int  // longest record, bytes; 0: any
	emit       func(pid int32, k kind, record []byte)
	was        func() // a record has been cut

	parts  map[int32]*piece // by process
	traces map[int32]*traceback
}

type piece struct {
	text  []byte
	since time.Time
}

// waiting tells whether there is something that flush would let go of.
func (a *assembler) waiting() bool { return len(a.parts)+len(a.traces) > 0 }

// add takes what a process has written.
func (a *assembler) add(pid int32, data []byte, now time.Time) {
	if !a.lines {
		if k, line := unmark(data); k != foreign {
			a.record(pid, k, line)
			return
		}
	}
	if part := a.parts[pid]; part != nil {
		delete(a.parts, pid)
		data = append(part.text, data...)
	}
	whole := len(data)
	switch {
	case a.lines:
		whole = bytes.LastIndexByte(data, '\n') + 1
	case !bytes.HasSuffix(data, newline):
		whole = 0
	}
	if len(data)-whole > partSize {
		whole = len(data)
	}
	if whole > 0 {
		a.records(pid, data[:whole], now)
	}
	if whole < len(data) {
		if a.parts == nil {
			a.parts = map[int32]*piece{}
		}
		a.parts[pid] = &piece{bytes.Clone(data[whole:]), now}
	}
}

func (a *assembler) records(pid int32, data []byte, now time.Time) {
	if !a.lines {
		a.foreign(pid, data, now)
		return
	}
	for line := range bytes.Lines(data) {
		if k, text := unmark(line); k != foreign {
			a.record(pid, k, text)
		} else {
			a.foreign(pid, line, now)
		}
	}
}

// foreign takes a record that is not the server's, which may be a line of a traceback.
func (a *assembler) foreign(pid int32, data []byte, now time.Time) {
	if !a.tracebacks {
		a.record(pid, foreign, data)
		return
	}
	trace := a.traces[pid]
	if trace != nil && !trace.takes(data) {
		a.endTraceback(pid, trace)
		trace = nil
	}
	switch {
	case trace == nil && !holdsTraceback(data):
		a.record(pid, foreign, data)
		return
	case trace == nil:
		trace = &traceback{}
		if a.traces == nil {
			a.traces = map[int32]*traceback{}
		}
		a.traces[pid] = trace
	}
	trace.add(data, now)
}

func (a *assembler) endTraceback(pid int32, trace *traceback) {
	delete(a.traces, pid)
	a.record(pid, foreign, trace.text)
}

func (a *assembler) record(pid int32, k kind, data []byte) {
	if a.cut > 0 && len(data) > a.cut {
		a.was()
		data = append(data[:a.cut-1:a.cut-1], '\n')
	}
	a.emit(pid, k, data)
}

// flush lets go of pieces that have not been ended since then.
func (a *assembler) flush(before time.Time) {
	for pid, part := range a.parts {
		if !part.since.After(before) {
			delete(a.parts, pid)
			a.foreign(pid, part.text, part.since)
		}
	}
	for pid, trace := range a.traces {
		if !trace.since.After(before) {
			a.endTraceback(pid, trace)
		}
	}
}
