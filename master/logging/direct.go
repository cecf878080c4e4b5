package logging

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"
)

// Direct is the log of a process whose lines go straight to descriptor 2. What cannot be
// written is lost and counted; how much that was is said when it can be again.
type Direct struct {
	mu    sync.Mutex
	style Style
	file  file
	lost  int
	cause error
	tried time.Time // when the file was last tried to be opened
}

// NewDirect returns the log on descriptor 2.
func NewDirect() *Direct {
	d := &Direct{}
	d.file = file{handle: os.Stderr, direct: true, open: FileOptions.Open}
	d.file.own = func(line []byte) []byte { return d.style.Master(line) }
	d.file.say = func(format string, args ...any) { d.file.note(format, args...) }
	return d
}

// SetStyle puts lines into form from now on.
func (d *Direct) SetStyle(s Style) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.style = s
}

// Style is the form of lines.
func (d *Direct) Style() Style {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.style
}

// Write takes whole lines. It never fails: lines that are lost cost nothing else.
func (d *Direct) Write(text []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.file.pending && now.Sub(d.tried) >= time.Second {
		d.tried = now
		d.file.retry()
	}
	lines := max(bytes.Count(text, newline), 1)
	if d.lost > 0 {
		if err := d.put(d.style.Master(fmt.Appendf(nil, "*** %d log line(s) lost: %v ***\n", d.lost, d.cause))); err != nil {
			d.lost += lines
			return len(text), nil
		}
		d.lost = 0
	}
	if err := d.put(d.style.Master(text)); err != nil {
		d.lost, d.cause = lines, err
	}
	return len(text), nil
}

// WriteShown writes a text as it is, for a person.
func (d *Direct) WriteShown(text []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.put(text) // a terminal that is gone misses nothing
	return len(text), nil
}

func (d *Direct) put(text []byte) error {
	var b batch
	b.add(text)
	_, err := d.file.write(&b)
	return err
}

// Open makes a file this process's standard output and error, at once or, if its disk is
// full, as soon as that is possible.
func (d *Direct) Open(o FileOptions, flags int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.file.FileOptions = o
	return d.file.begin(flags)
}

// Pending tells whether the log file could not be opened yet.
func (d *Direct) Pending() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.file.pending
}

// Reopen goes on in the file of that name, which somebody may have moved away.
func (d *Direct) Reopen(o FileOptions) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.file.FileOptions = o
	if info, err := os.Stderr.Stat(); err == nil {
		d.file.size = info.Size()
	}
	d.file.reopen(time.Now())
}
