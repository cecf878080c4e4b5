package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOnlyOrphansOfTheImportAreFound starts children that each differ in one thing from what is looked for.
func TestOnlyOrphansOfTheImportAreFound(t *testing.T) {
	start := func(variable, command string, more ...string) int {
		t.Helper()
		cmd := exec.Command(command, more...)
		cmd.Env = []string{"A=1", "MARK=inherited", variable}
		if command == "setsid" {
			cmd = exec.Command(more[0], more[1:]...)
			cmd.Env = []string{variable}
			cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd.Process.Pid
	}
	wanted := start("MARK=7", "sleep", "100")
	known := start("MARK=7", "sleep", "100")
	for _, not := range []int{
		start("MARK=8", "sleep", "100"), start("MARK=77", "sleep", "100"), start("OTHER=7", "sleep", "100"),
		start("MARK=7", "sleep", "200"), start("MARK=7", "setsid", "sleep", "100"),
	} {
		t.Log("not looked for:", not)
	}
	isKnown := func(pid int) bool { return pid == known }
	pids := func(of Import) (found []int) {
		for _, p := range (Linux{}).Orphans(of, isKnown) {
			found = append(found, p.PID())
		}
		return found
	}
	of := Import{Args: []string{"100"}, Variable: "MARK=7"}
	if got := pids(of); !slices.Equal(got, []int{wanted}) {
		t.Errorf("found %v, want %d", got, wanted)
	}
	of.Until = Now()
	if got := pids(of); !slices.Equal(got, []int{wanted}) {
		t.Errorf("until now: found %v, want %d", got, wanted)
	}
	if of.Until = readStat(wanted).started - 1; len(pids(of)) != 0 {
		t.Error("one that was started later is found")
	}
	of.Until = 0
	for _, p := range (Linux{}).Orphans(of, isKnown) {
		_ = p.Signal(unix.SIGKILL)
	}
	for readStat(wanted).state != 'Z' {
	}
	if got := pids(of); len(got) != 0 {
		t.Errorf("found one that has ended: %v", got)
	}
}

// TestGrandchildrenAreOrphansOnceTheyAreOurs: a stranger's children are the stranger's.
func TestGrandchildrenAreOrphansOnceTheyAreOurs(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	parent := exec.Command("sh", "-c", "sleep 300 & echo $!; read line")
	parent.Env = []string{"MARK=9", "PATH=" + os.Getenv("PATH")}
	in, _ := parent.StdinPipe()
	out, _ := parent.StdoutPipe()
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	grandchild, _ := strconv.Atoi(strings.TrimSpace(line))
	for len(procStrings(grandchild, "cmdline")) != 2 { // until it has executed sleep
	}
	of := Import{Args: []string{"300"}, Variable: "MARK=9"}
	nobody := func(int) bool { return false }
	if found := (Linux{}).Orphans(of, nobody); len(found) != 0 {
		t.Fatalf("found %d while its parent lives", found[0].PID())
	}
	fmt.Fprintln(in)
	_ = parent.Wait()
	found := (Linux{}).Orphans(of, nobody)
	if len(found) != 1 || found[0].PID() != grandchild {
		t.Fatalf("found %v, want %d", found, grandchild)
	}
	if err := found[0].Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := found[0].Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestLookingForOrphansHoldsNobody(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })
	pidfds := func() (n int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if name, _ := os.Readlink("/proc/self/fd/" + entry.Name()); strings.Contains(name, "pidfd") {
				n++
			}
		}
		return n
	}
	before := pidfds()
	for range 5 {
		if found := (Linux{}).Orphans(Import{Args: []string{"nobody's"}}, func(int) bool { return false }); len(found) > 0 {
			t.Fatalf("found %v", found)
		}
	}
	if after := pidfds(); after > before {
		t.Errorf("%d descriptors of processes, before %d", after, before)
	}
}
