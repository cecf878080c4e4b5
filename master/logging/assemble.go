package logging

import (
	"bytes"
	"time"

	"envoxyd/internal/workerspec"
)

// A line that is begun and not ended is waited for this long, and up to this size.
const (
	partTime = 200 * time.Millisecond
	partSize = 1 << 20
)

// assembler puts together the lines that processes write in pieces, so that nobody
// else's line comes in between.
type assembler struct {
	lines bool // each line is a record; otherwise what ends with a line break is, as it was written
	cut   int  // longest record, bytes; 0: any
	emit  func(record []byte)
	was   func() // a record has been cut

	parts map[int32]*piece // by process
}

type piece struct {
	text  []byte
	since time.Time
}

// add takes what a process has written.
func (a *assembler) add(pid int32, data []byte, now time.Time) {
	if !a.lines && len(data) > 1 && data[0] == workerspec.LineMark {
		a.record(data[1:])
		return
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
		a.records(data[:whole])
	}
	if whole < len(data) {
		if a.parts == nil {
			a.parts = map[int32]*piece{}
		}
		a.parts[pid] = &piece{bytes.Clone(data[whole:]), now}
	}
}

func (a *assembler) records(data []byte) {
	if !a.lines {
		a.record(data)
		return
	}
	for line := range bytes.Lines(data) {
		a.record(line)
	}
}

func (a *assembler) record(data []byte) {
	if a.cut > 0 && len(data) > a.cut {
		a.was()
		data = append(data[:a.cut-1:a.cut-1], '\n')
	}
	a.emit(data)
}

// flush lets go of pieces that have not been ended since then.
func (a *assembler) flush(before time.Time) {
	for pid, part := range a.parts {
		if !part.since.After(before) {
			delete(a.parts, pid)
			a.record(part.text)
		}
	}
}
