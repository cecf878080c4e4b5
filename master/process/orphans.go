package process

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Import tells the processes that a zygote has forked while it imported the application from all
// others. When it ends without having ended them they become children of this process.
type Import struct {
	Args     []string // of the zygote's program, and of what it forks; whoever has executed another program is none of them
	Variable string   // of the environment, NAME=VALUE, different for each zygote
	Until    Ticks    // when the import had ended; 0: it has not
}

// Ticks is a time since the system's start, as the kernel counts that of a process.
type Ticks uint64

// ticksPerSecond is USER_HZ, the same on every Linux that Go runs on.
const ticksPerSecond = 100

// Now is the time now.
func Now() Ticks {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return 0
	}
	return Ticks(now.Sec*ticksPerSecond + now.Nsec/(1e9/ticksPerSecond))
}

// Orphans finds the processes of an import that were left to this one. Those in a session of
// their own have been detached on purpose and are not among them, nor is anybody who is known.
func (l Linux) Orphans(of Import, known func(pid int) bool) (found []Process) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || readStat(pid).parent != os.Getpid() || known(pid) {
			continue
		}
		child, err := l.Adopt(pid) // from now on the number is this process's
		switch {
		case err != nil:
		case of.has(pid):
			found = append(found, child)
		default:
			child.Release()
		}
	}
	return found
}

// has tells whether a child of this process is one of the import's.
func (i *Import) has(pid int) bool {
	now := readStat(pid)
	session, err := unix.Getsid(0)
	if err != nil || now.parent != os.Getpid() || now.state == 'Z' || now.session != session || i.Until != 0 && now.started > i.Until {
		return false
	}
	command := procStrings(pid, "cmdline") // it begins with the program, which a wrapper may have found elsewhere
	return len(command) > 0 && slices.Equal(command[1:], i.Args) && lastNamed(procStrings(pid, "environ"), i.Variable) == i.Variable
}

// lastNamed is the last of the variables with the name of one.
func lastNamed(environ []string, one string) (last string) {
	name, _, _ := strings.Cut(one, "=")
	for _, pair := range environ {
		if strings.HasPrefix(pair, name+"=") {
			last = pair
		}
	}
	return last
}

// stat is what proc_pid_stat(5) tells of a process; the zero value: it has gone.
type stat struct {
	state           byte
	parent, session int
	started         Ticks
}

func readStat(pid int) (s stat) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // the name before may hold anything
	if err != nil || len(fields) < 20 {
		return stat{}
	}
	number := func(field int) int {
		n, _ := strconv.Atoi(string(fields[field]))
		return n
	}
	return stat{state: fields[0][0], parent: number(1), session: number(3), started: Ticks(number(19))}
}

// procStrings are the strings in a file of a process's, each of which ends with NUL.
func procStrings(pid int, name string) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}
