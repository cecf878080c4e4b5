package sockets

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memInfoDrops is the index of the number of dropped packets in what SO_MEMINFO reads (SK_MEMINFO_DROPS of
// linux/sock_diag.h). For a listening socket, these are attempts to connect.
const memInfoDrops = 8

// Queue is how many connections wait on a listening TCP socket and how many may; 0 of 0 where the kernel does not tell.
func (s *Socket) Queue() (waiting, limit int) {
	info, err := unix.GetsockoptTCPInfo(s.FD, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, 0
	}
	return int(info.Unacked), int(info.Sacked)
}

// Overflowed tells whether the kernel has dropped attempts to connect since the last call because the queue was full. The queue
// may be empty again by now. The first call for a socket that others have opened tells nothing.
//
// The kernel counts what it drops on a socket for any reason, such as what comes for a connection that was reset, and overflows
// of all queues together: both have to have grown.
func (s *Socket) Overflowed() bool {
	dropped, known := drops(s.FD)
	if !known {
		return false
	}
	first := !s.looked
	if s.looked = true; dropped == s.dropped && !first {
		return false
	}
	overflows, known := listenOverflows()
	more := dropped != s.dropped && (!known || overflows != s.overflows) && !(first && s.inherited)
	s.dropped, s.overflows = dropped, overflows
	return more
}

// listenOverflows is how many attempts to connect found a full queue, of all sockets of the network namespace; false where the
// kernel does not tell.
func listenOverflows() (count uint64, known bool) {
	text, err := os.ReadFile("/proc/net/netstat")
	if err != nil {
		return 0, false
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "TcpExt:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		if at := slices.Index(names, "ListenOverflows"); at >= 0 && at < len(fields) {
			count, err := strconv.ParseUint(fields[at], 10, 64)
			return count, err == nil
		}
	}
	return 0, false
}

// drops is how many packets the kernel has dropped on a socket; false where it does not tell.
func drops(fd int) (uint32, bool) {
	var info [memInfoDrops + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info[memInfoDrops], errno == 0 && size == uint32(unsafe.Sizeof(info))
}
