package stats

import "envoxyd/internal/procmem"

// MemoryReport is how much is read of a process's memory; the values are those of --memory-report.
type MemoryReport int

// What is read.
const (
	NoMemory MemoryReport = iota
	Sizes                 // RSS and VSZ
	Shares                // USS and PSS too: the kernel walks all pages for these
)

// Measure fills in the memory of the workers: what s.Memory asks for, or least if that is
// more. It reads /proc, which may take a moment: not for the goroutine that owns the state.
func (s *Snapshot) Measure(least MemoryReport) {
	report := max(s.Memory, least)
	if report < Sizes {
		return
	}
	for i := range s.Workers {
		w := &s.Workers[i]
		if w.PID == 0 {
			continue
		}
		process := procmem.PID(w.PID)
		w.RSS, w.VSZ = process.Size()
		if report >= Shares {
			w.USS, w.PSS = process.Own()
		}
	}
}
