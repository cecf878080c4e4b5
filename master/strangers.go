package master

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// strangers are processes that were left to us, a subreaper or process 1, by whoever started them.
type strangers struct{ dead map[int]bool } // those that had ended at the last poll

// reap waits for strangers that have ended. Those that somebody here waits for are left
// alone; whoever waits without being known has until the next poll for it.
func (s *strangers) reap(known func(pid int) bool) {
	before := s.dead
	s.dead = nil
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil || info.Signo == 0 { // there are no children, or none has ended
		return
	}
	s.dead = zombies()
	for pid := range s.dead {
		if known(pid) || !before[pid] {
			continue
		}
		var status unix.WaitStatus
		_, _ = unix.Wait4(pid, &status, unix.WNOHANG, nil) // somebody else may have waited
	}
}

// zombies are our children that have ended and that nobody has waited for.
func zombies() map[int]bool {
	found := map[int]bool{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	ours := []byte(") Z " + strconv.Itoa(os.Getpid()) + " ") // name, state, parent
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if end := bytes.LastIndexByte(stat, ')'); err == nil && end >= 0 && bytes.HasPrefix(stat[end:], ours) {
			found[pid] = true
		}
	}
	return found
}
