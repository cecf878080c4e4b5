package worker

import (
	"sync"

	"envoxyd/internal/procmem"
)

// discount is what Go has reserved, but not used, of the address space: finding
// out takes too long to do it for each request.
var discount = sync.OnceValue(func() int64 {
	_, size := procmem.Self.Size()
	_, used := memory()
	return size - used
})

// usage is the resident and the virtual size of the process, bytes.
func usage() (rss, vsz int64) {
	rss, vsz = procmem.Self.Size()
	return rss, max(vsz-discount(), 0)
}
