package master

import (
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
