package sockets

import (
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

// Overflowed tells whether the kernel has dropped attempts to connect since the last call, as it does when the queue is
// full. The queue may be empty again by now. The first call for a socket that others have opened tells nothing.
func (s *Socket) Overflowed() bool {
	dropped, known := drops(s.FD)
	if !known {
		return false
	}
	more := dropped != s.dropped && (s.looked || !s.inherited)
	s.dropped, s.looked = dropped, true
	return more
}

// drops is how many packets the kernel has dropped on a socket; false where it does not tell.
func drops(fd int) (uint32, bool) {
	var info [memInfoDrops + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info[memInfoDrops], errno == 0 && size == uint32(unsafe.Sizeof(info))
}
