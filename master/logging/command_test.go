package logging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// plainProcesses starts commands without books.
type plainProcesses struct{ started chan string }

func (p plainProcesses) Start(cmd *exec.Cmd) error {
	p.started <- cmd.Args[2]
	return cmd.Start()
}

func (plainProcesses) Wait(cmd *exec.Cmd) error { return cmd.Wait() }

func TestACommandReadsRecordsUntilTheEnd(t *testing.T) {
	c := newCommand("cat > out; echo end >> out", t.TempDir(), plainProcesses{make(chan string, 9)})
	for _, text := range []string{"a\n", "b\n"} {
		if lost, err := c.write(sent(text)); lost > 0 || err != nil {
			t.Fatalf("lost %d: %v", lost, err)
		}
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(c.dir, "out")); err != nil || string(text) != "a\nb\nend\n" {
		t.Fatalf("%q, %v", text, err)
	}
}

func TestACommandThatEndsIsStartedAgainNotTooOften(t *testing.T) {
	p := plainProcesses{make(chan string, 100)}
	c := newCommand("exec true", t.TempDir(), p)
	begin := time.Now()
	lost := 0
	for lost == 0 || c.current != nil {
		n, _ := c.write(sent("x\n"))
		lost += n
	}
	if starts := len(p.started); starts > 1+int(time.Since(begin)/commandPause) {
		t.Fatalf("%d starts", starts)
	}
	c.started = time.Time{} // as if it had been long ago
	if _, err := c.write(sent("x\n")); err != nil && c.current == nil && !strings.Contains(err.Error(), "has ended") {
		t.Fatal(err)
	}
	_ = c.close()
}

// deaf starts a command that ignores the end of its input, and children of it ignore TERM too,
// and returns what ends when both have.
func deaf(t *testing.T) (c *command, gone func() bool) {
	t.Helper()
	c = newCommand(`sh -c 'trap "" TERM; sleep 1000 & echo $! > child.new; mv child.new child; wait'; true`, t.TempDir(), plainProcesses{make(chan string, 9)})
	var b batch
	b.add([]byte("a\n"))
	if lost, err := c.write(&b); lost > 0 || err != nil {
		t.Fatalf("lost %d: %v", lost, err)
	}
	var child int
	for deadline := time.Now().Add(10 * time.Second); child == 0; time.Sleep(time.Millisecond) {
		if text, err := os.ReadFile(filepath.Join(c.dir, "child")); err == nil {
			child, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if time.Now().After(deadline) {
			t.Fatal("the command has not come up")
		}
	}
	return c, func() bool {
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			stat, err := os.ReadFile("/proc/" + strconv.Itoa(child) + "/stat")
			if err != nil || strings.Contains(string(stat), ") Z ") {
				return true
			}
		}
		_ = syscall.Kill(child, syscall.SIGKILL)
		return false
	}
}

func TestACommandThatDoesNotLeaveIsKilledWithItsChildren(t *testing.T) {
	c, gone := deaf(t)
	c.lastLines = time.Millisecond
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if !gone() {
		t.Error("a child is left")
	}
}

func TestACommandThatDoesNotReadIsKilledWhenTheTimeIsUp(t *testing.T) {
	c, gone := deaf(t)
	q := newQueue("test", c, func(string, ...any) {}, false)
	for range 3 {
		q.put(make([]byte, 1<<20), false) // more than a pipe holds
	}
	o := Outputs{queues: []*queue{nil, q}}
	o.close(time.Now().Add(10 * time.Millisecond))
	if !gone() {
		t.Error("a child is left")
	}
	<-q.done
	c.started = time.Time{} // as if it had been long ago
	if err := c.start(); err == nil {
		t.Error("the command was started again")
	}
}
