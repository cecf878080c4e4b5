// Package procmem reads what memory a process has from /proc (proc(5)). All figures
// are bytes; all are 0 for a process that has gone.
package procmem

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Process is a process's name in /proc.
type Process string

// Self is the process that asks, whatever namespace /proc counts it in.
const Self Process = "self"

// PID is the process of that number.
func PID(pid int) Process { return Process(strconv.Itoa(pid)) }

func (p Process) read(file string) ([]byte, error) {
	return os.ReadFile("/proc/" + string(p) + "/" + file)
}

// Size is the resident and the virtual size.
func (p Process) Size() (rss, vsz int64) {
	text, err := p.read("statm")
	if err != nil {
		return 0, 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, 0
	}
	page := int64(os.Getpagesize())
	return resident * page, size * page
}

// Own is the memory that no other process has part in, and the process's part of all its memory.
func (p Process) Own() (uss, pss int64) {
	text, err := p.read("smaps_rollup")
	if err != nil {
		return 0, 0
	}
	for line := range bytes.Lines(text) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		var kilobytes int64
		if _, err := fmt.Sscan(string(rest), &kilobytes); err != nil {
			continue
		}
		switch string(name) {
		case "Pss":
			pss = kilobytes << 10
		case "Private_Clean", "Private_Dirty", "Private_Hugetlb":
			uss += kilobytes << 10
		}
	}
	return uss, pss
}

// Reserved is the address space of mappings without access rights: most of it is
// the Go runtime's, and no measure of anything.
func (p Process) Reserved() (total int64) {
	text, err := p.read("maps")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		var from, to uint64
		var rights string
		if n, _ := fmt.Sscanf(string(line), "%x-%x %3s", &from, &to, &rights); n == 3 && rights == "---" {
			total += int64(to - from)
		}
	}
	return total
}
