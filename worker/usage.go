package worker

import (
	"bytes"
	"fmt"
	"os"
	"sync"
)

// discount is what Go has reserved, but not used, of the address space: finding
// out takes too long to do it for each request.
var discount = sync.OnceValue(func() int64 {
	size, _ := statm()
	_, used := memory()
	return size - used
})

// usage is the resident and the virtual size of the process, bytes.
func usage() (rss, vsz int64) {
	vsz, rss = statm()
	return rss, max(vsz-discount(), 0)
}

func statm() (size, resident int64) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0
	}
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, 0
	}
	page := int64(os.Getpagesize())
	return size * page, resident * page
}

// ownUsage is the memory that no other process has part in, and this one's part of all its memory, bytes.
func ownUsage() (uss, pss int64) {
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return 0, 0
	}
	for line := range bytes.Lines(text) {
		var kilobytes int64
		name, rest, _ := bytes.Cut(line, []byte(":"))
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
