package master

import (
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// strangers are processes that were left to us, a subreaper or process 1, by whoever started them.
type strangers struct{ dead int } // one that had ended at the last look; 0: there was none

// reap waits for strangers that have ended. Those that somebody here waits for are left
// alone; whoever waits without being known has until the next look for it.
func (s *strangers) reap(known func(pid int) bool) {
	dead := s.dead
	s.dead = 0
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil {
			return
		}
		// si_pid is the first field behind the three ints that all kinds of siginfo have.
		pid := int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), 16)))
		if pid == 0 || known(pid) {
			return
		}
		if pid != dead {
			s.dead = pid
			return
		}
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err != nil {
			return
		}
	}
}

// setName writes name over the command line that ps shows, as far as that has room.
func setName(name string) {
	if name == "" || len(os.Args) == 0 {
		return
	}
	first, last := os.Args[0], os.Args[len(os.Args)-1]
	start := unsafe.StringData(first)
	end := uintptr(unsafe.Pointer(unsafe.StringData(last))) + uintptr(len(last))
	size := int(end - uintptr(unsafe.Pointer(start)))
	if size <= 0 || size > 1<<20 {
		return
	}
	for i, arg := range os.Args { // they are about to be written over
		os.Args[i] = strings.Clone(arg)
	}
	room := unsafe.Slice((*byte)(unsafe.Pointer(start)), size)
	n := copy(room, name)
	clear(room[n:])
}
