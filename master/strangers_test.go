package master

import (
	"os/exec"
	"testing"
	"time"
)

func TestAllStrangersThatHaveEndedAreReapedAtTheSecondPoll(t *testing.T) {
	own := map[int]bool{}
	known := func(pid int) bool { return own[pid] }
	var s strangers
	var pids []int
	for range 20 {
		cmd := exec.Command("true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, cmd.Process.Pid)
	}
	own[pids[0]] = true // somebody waits for it
	all := func(dead map[int]bool) bool {
		for _, pid := range pids {
			if !dead[pid] {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(10 * time.Second); !all(zombies()); {
		if time.Now().After(deadline) {
			t.Fatal("they have not ended")
		}
	}
	s.reap(known)
	if !all(zombies()) {
		t.Fatal("reaped at once: whoever started them had no time to wait")
	}
	s.reap(known)
	left := zombies()
	for _, pid := range pids[1:] {
		if left[pid] {
			t.Errorf("process %d is left", pid)
		}
	}
	if !left[pids[0]] {
		t.Error("the one that somebody waits for was taken away")
	}
}
