package shm

import (
	"os"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The size of Tallies.
const (
	TallyRows     = 256
	TallyCounters = 8
	tallyStripes  = 16
	tallyName     = 256 - 8
)

// Tallies are counters under names. Many processes add to them at a time, and what one that has ended has
// added stays. Beside them are readings, which end with their process. The memory outlives reloads and upgrades: processes of another executable may have it mapped.
type Tallies struct{ memory []byte }

// tallyRow is the counters of one name. Processes that find it missing at the same time may make it twice: a reader adds up.
type tallyRow struct {
	state   atomic.Uint32
	size    atomic.Uint32 // of the name
	name    [tallyName]byte
	stripes [tallyStripes]Tally
}

// The states of a row.
const (
	rowFree = iota
	rowTaken
	rowNamed
)

// Tally is the counters of one name as one process, or a few, add to them: a cache line.
type Tally [TallyCounters]atomic.Uint64

// The readings stand behind the rows.
const tallyRows = TallyRows * int(unsafe.Sizeof(tallyRow{}))

// TalliesSize is how large the memory is, in bytes. Another layout mostly has another size.
const TalliesSize = tallyRows + readingsSize

// NewTalliesFile makes the memory; it is closed on exec.
func NewTalliesFile() (*os.File, error) { return newFile("envoxyd-tallies", TalliesSize) }

// OpenTallies maps the memory behind a descriptor.
func OpenTallies(fd int) (*Tallies, error) {
	memory, err := mapFile(fd, TalliesSize)
	if err != nil {
		return nil, err
	}
	return &Tallies{memory}, nil
}

func (t *Tallies) row(number int) *tallyRow {
	return (*tallyRow)(unsafe.Pointer(&t.memory[number*int(unsafe.Sizeof(tallyRow{}))]))
}

// Of returns the counters of a name, for a process that has a number: those with other numbers mostly write
// to other memory. A long name is cut. When there is no room for more names, the counters are the process's alone
// and nobody reads them.
func (t *Tallies) Of(name string, process int) *Tally {
	name = name[:min(len(name), tallyName)]
	for number := range TallyRows {
		row := t.row(number)
		if row.state.Load() == rowFree && row.state.CompareAndSwap(rowFree, rowTaken) {
			row.size.Store(uint32(copy(row.name[:], name)))
			row.state.Store(rowNamed)
		}
		if row.state.Load() == rowNamed && row.text() == name {
			return &row.stripes[uint(process)%tallyStripes]
		}
	}
	return new(Tally)
}

func (r *tallyRow) text() string { return string(r.name[:min(r.size.Load(), tallyName)]) }

// Read calls with for the counters of each name that begins with prefix; what follows it is passed on. A name may come
// more than once.
func (t *Tallies) Read(prefix string, with func(name string, counters [TallyCounters]uint64)) {
	for number := range TallyRows {
		row := t.row(number)
		state := row.state.Load()
		if state == rowFree { // as are all that follow
			return
		}
		if state != rowNamed {
			continue
		}
		name, is := strings.CutPrefix(row.text(), prefix)
		if !is {
			continue
		}
		var sums [TallyCounters]uint64
		for i := range row.stripes {
			for j := range sums {
				sums[j] += row.stripes[i][j].Load()
			}
		}
		with(name, sums)
	}
}

// Close unmaps the memory: no counters may be in use.
func (t *Tallies) Close() error { return unix.Munmap(t.memory) }
