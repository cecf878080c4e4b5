package shm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NoteSize is how large the memory of a Note is, if nothing else is said; a note that does not fit is refused.
const NoteSize = 1 << 20

// ErrNoteTooLong is returned by Write for a note that is larger than its memory.
var ErrNoteTooLong = errors.New("shm: the note does not fit")

// Note is a text that one process writes and others read at any time. Its memory begins
// with a NoteHead; Python reads it in worker/python/envoxyd_worker/gateway.py.
type Note struct{ memory []byte }

// NoteHead stands before the text of a Note; internal/layout writes it down for Python.
type NoteHead struct {
	Sequence atomic.Uint32 // odd while the text is being changed
	Size     atomic.Uint32 // of the text
}

const noteHeadSize = int(unsafe.Sizeof(NoteHead{}))

// NewNoteFile makes the memory of a note; it is closed on exec.
func NewNoteFile(name string) (*os.File, error) { return newFile(name, NoteSize) }

// NewHistoryFile makes the memory of the note in which a master tells the next one what was counted.
func NewHistoryFile() (*os.File, error) { return newFile("envoxyd-history", NoteSize) }

// NewLargeNoteFile makes the memory of a note of another size, in bytes; Python does not read such.
func NewLargeNoteFile(name string, size int) (*os.File, error) { return newFile(name, size) }

// OpenNote maps the note behind a descriptor. There must be one writer at most.
func OpenNote(fd int) (*Note, error) {
	var is unix.Stat_t
	if err := unix.Fstat(fd, &is); err != nil {
		return nil, fmt.Errorf("memory of a note: %w", err)
	}
	memory, err := mapFile(fd, int(is.Size))
	if err != nil {
		return nil, err
	}
	return &Note{memory}, nil
}

func (n *Note) head() *NoteHead { return (*NoteHead)(unsafe.Pointer(&n.memory[0])) }

// Version changes when the text is replaced. It costs nothing.
func (n *Note) Version() uint32 { return n.head().Sequence.Load() }

// Write replaces the text. It copies it.
func (n *Note) Write(text []byte) error {
	if len(text) > len(n.memory)-noteHeadSize {
		return ErrNoteTooLong
	}
	head := n.head()
	sequence := head.Sequence.Load() &^ 1 // a writer that died in the middle left it odd
	head.Sequence.Store(sequence + 1)
	head.Size.Store(uint32(len(text)))
	copy(n.memory[noteHeadSize:], text)
	head.Sequence.Store(sequence + 2)
	return nil
}

// Read returns a copy of the text, nil before the first Write. It gives up, with
// nil, on a text whose writer died in the middle.
func (n *Note) Read() []byte {
	head := n.head()
	for range 1000 {
		before := head.Sequence.Load()
		size := min(int(head.Size.Load()), len(n.memory)-noteHeadSize)
		text := append([]byte(nil), n.memory[noteHeadSize:noteHeadSize+size]...)
		if before&1 == 0 && head.Sequence.Load() == before {
			if before == 0 {
				return nil
			}
			return text
		}
	}
	return nil
}

// WriteJSON replaces the text by v's JSON.
func (n *Note) WriteJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return n.Write(text)
}

// ReadJSON reads the text into v. False: there is none, or its writer died in the middle; v may have been changed.
func (n *Note) ReadJSON(v any) bool {
	text := n.Read()
	return text != nil && json.Unmarshal(text, v) == nil
}

// Close unmaps the memory.
func (n *Note) Close() error { return unix.Munmap(n.memory) }
