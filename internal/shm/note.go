package shm

import (
	"encoding/binary"
	"errors"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NoteSize is how large the memory of a Note is; a note that does not fit is refused.
const NoteSize = 1 << 20

// ErrNoteTooLong is returned by Write for a note over NoteSize.
var ErrNoteTooLong = errors.New("shm: the note does not fit")

// Note is a text that one process writes and others read at any time: a sequence
// number that is odd while the text is being changed, the text's length, the text.
// The Python in worker/python/envoxyd_worker/gateway.py reads the same layout.
type Note struct{ memory []byte }

// NewNoteFile makes the memory of a note; it is closed on exec.
func NewNoteFile(name string) (*os.File, error) { return newFile(name, NoteSize) }

// OpenNote maps the note behind a descriptor. There must be one writer at most.
func OpenNote(fd int) (*Note, error) {
	memory, err := mapFile(fd, NoteSize)
	if err != nil {
		return nil, err
	}
	return &Note{memory}, nil
}

func (n *Note) sequence() *uint32 { return (*uint32)(unsafe.Pointer(&n.memory[0])) }

// Write replaces the text. It copies it.
func (n *Note) Write(text []byte) error {
	if len(text) > NoteSize-8 {
		return ErrNoteTooLong
	}
	sequence := atomic.LoadUint32(n.sequence()) &^ 1 // a writer that died in the middle left it odd
	atomic.StoreUint32(n.sequence(), sequence+1)
	binary.LittleEndian.PutUint32(n.memory[4:], uint32(len(text)))
	copy(n.memory[8:], text)
	atomic.StoreUint32(n.sequence(), sequence+2)
	return nil
}

// Read returns a copy of the text, nil before the first Write. It gives up, with
// nil, on a text whose writer died in the middle.
func (n *Note) Read() []byte {
	for range 1000 {
		before := atomic.LoadUint32(n.sequence())
		size := min(int(binary.LittleEndian.Uint32(n.memory[4:])), NoteSize-8)
		text := append([]byte(nil), n.memory[8:8+size]...)
		if before&1 == 0 && atomic.LoadUint32(n.sequence()) == before {
			if before == 0 {
				return nil
			}
			return text
		}
	}
	return nil
}

// Close unmaps the memory.
func (n *Note) Close() error { return unix.Munmap(n.memory) }
