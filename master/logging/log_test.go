package logging

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// started is a Log whose original is a file in dir, with the loggers of a command line.
func started(t *testing.T, dir string, args ...string) (*Log, *Plan) {
	t.Helper()
	plan, err := Compile(configured(t, args...), dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Start(Options{Processes: plainProcesses{make(chan string, 9)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.MoveTo(FileOptions{Dir: dir, Path: "original", Mode: -1, UID: -1, GID: -1}, 0); err != nil {
		t.Fatal(err)
	}
	return l, plan
}

func use(t *testing.T, l *Log, plan *Plan) {
	t.Helper()
	o, err := l.Open(plan)
	if err != nil {
		t.Fatal(err)
	}
	l.Use(o)
}

// stdio is what other processes write to.
func stdio(t *testing.T, l *Log, plan *Plan) *os.File {
	t.Helper()
	file, err := l.Stdio(plan, sourceApp)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func lines(t *testing.T, dir, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestNoLineOfAnyProcessIsLostOrMixedWithAnother(t *testing.T) {
	for _, stream := range []bool{false, true} {
		dir := t.TempDir()
		args := []string{"--logger", "file:all"}
		if !stream {
			args = append(args, "--log-drain", "nothing like it")
		}
		l, plan := started(t, dir, args...)
		use(t, l, plan)
		// Each line leaves in two writes, and five processes do so at once.
		const processes, each = 5, 200
		script := fmt.Sprintf(`n=0; while [ $n -lt %d ]; do printf 'process %%s ' $0; printf 'line %%s end\n' $n; n=$((n+1)); done`, each)
		var all sync.WaitGroup
		out := stdio(t, l, plan)
		for p := range processes {
			all.Go(func() {
				cmd := exec.Command("/bin/sh", "-c", script, fmt.Sprint(p))
				cmd.Stdout = out
				if err := cmd.Run(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		l.Close()
		var want []string
		for p := range processes {
			for n := range each {
				want = append(want, fmt.Sprintf("process %d line %d end\n", p, n))
			}
		}
		got := lines(t, dir, "all")
		got[len(got)-1] += "\n"
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("stream %v: %d lines, want %d; first %q", stream, len(got), len(want), got[0])
		}
	}
}

func TestACommandMayOpenItsOutputByName(t *testing.T) {
	dir := t.TempDir()
	l, plan := started(t, dir, "--logger", "file:all")
	use(t, l, plan)
	for _, script := range []string{
		"echo one > /dev/stdout; printf two >&2; sleep 0.01; echo ' three' > /proc/self/fd/2",
		"printf last; exec sleep 30 >/dev/null 2>&1 & exit",
		"echo ended; sleep 30 &", // it keeps the output, and is not waited for
	} {
		out, err := l.Pipe(plan, "daemon")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.Stdout, cmd.Stderr = out, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		out.Close()
		t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // the sleep, if there is one
	}
	l.Close()
	text, err := os.ReadFile(filepath.Join(dir, "all"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one\n", "two three\n", "last", "ended\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}

func TestLinesWaitForTheirLoggers(t *testing.T) {
	dir := t.TempDir()
	l, plan := started(t, dir, "--logger", "file:later")
	l.Line([]byte("early\n"))
	if _, err := os.Stat(filepath.Join(dir, "later")); err == nil {
		t.Fatal("opened too early")
	}
	use(t, l, plan)
	l.Line([]byte("late\n"))
	l.Close()
	if got := lines(t, dir, "later"); !slices.Equal(got, []string{"early\n", "late"}) {
		t.Fatalf("%q", got)
	}
}

func TestLinesWithoutLoggersAreNotLostAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	l, _ := started(t, dir, "--logger", "file:never")
	l.Line([]byte("early\n"))
	l.Close()
	if got := lines(t, dir, "original"); !slices.Equal(got, []string{"early"}) {
		t.Fatalf("%q", got)
	}
}

func TestLoggersAreReplacedWithoutLoss(t *testing.T) {
	dir := t.TempDir()
	l, plan := started(t, dir, "--logger", "file:a")
	use(t, l, plan)
	other, err := Compile(configured(t, "--logger", "file:b"), dir)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		l.Line(fmt.Appendf(nil, "%d\n", n))
		if n == 499 {
			use(t, l, other)
		}
	}
	l.Close()
	if a, b := lines(t, dir, "a"), lines(t, dir, "b"); len(a) != 500 || len(b) != 500 || b[0] != "500\n" {
		t.Fatalf("%d and %d lines", len(a), len(b))
	}
}

func TestRotationUnderLoadLosesNothing(t *testing.T) {
	dir := t.TempDir()
	l, plan := started(t, dir, "--logger", "file:logfile=x.log,backupname=bak", "--logger", "file:all")
	use(t, l, plan)
	const count = 3000
	var writing sync.WaitGroup
	out := stdio(t, l, plan)
	writing.Go(func() {
		for n := range count {
			fmt.Fprintf(out, "line %d\n", n)
		}
	})
	kept := map[string]bool{}
	for n := range 20 { // each backup is put aside under another name
		l.Rotate()
		done := make(chan struct{})
		l.mu.Lock()
		l.current.queues[1].order(func() { close(done) })
		l.mu.Unlock()
		<-done
		name := fmt.Sprintf("kept-%d", n)
		if err := os.Rename(filepath.Join(dir, "bak"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		kept[name] = true
	}
	writing.Wait()
	l.Close()
	total := 0
	kept["x.log"] = true
	for name := range kept {
		for _, line := range lines(t, dir, name) {
			if strings.HasPrefix(line, "line ") {
				total++
			}
		}
	}
	if total != count {
		t.Fatalf("%d lines, want %d", total, count)
	}
}

func TestRequestsGoTheirOwnWay(t *testing.T) {
	dir := t.TempDir()
	l, plan := started(t, dir, "--logger", "file:main", "--req-logger", "file:req", "--log-encoder", "prefix M", "--log-req-encoder", "prefix R")
	use(t, l, plan)
	file, err := l.Requests(plan)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(file, "request")
	fmt.Fprintln(stdio(t, l, plan), "print")
	l.Close()
	if req, main := lines(t, dir, "req"), lines(t, dir, "main"); !slices.Equal(req, []string{"Rrequest"}) || !slices.Equal(main, []string{"Mprint"}) {
		t.Fatalf("requests %q, others %q", req, main)
	}
}

func TestLongRecordsArriveWhole(t *testing.T) {
	dir := t.TempDir()
	l, plan := started(t, dir, "--logger", "file:all")
	use(t, l, plan)
	long := strings.Repeat("x", 3_000_000)
	if _, err := fmt.Fprintln(stdio(t, l, plan), long); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if got := lines(t, dir, "all"); len(got) != 1 || got[0] != long {
		t.Fatalf("%d bytes", len(got[0]))
	}
}

func TestCutRecordsAreCounted(t *testing.T) {
	dir := t.TempDir()
	l, plan := started(t, dir, "--logger", "file:all", "--log-master-bufsize", "20")
	use(t, l, plan)
	fmt.Fprintln(stdio(t, l, plan), strings.Repeat("x", 100))
	l.Close()
	if got := lines(t, dir, "all"); !slices.Equal(got, []string{strings.Repeat("x", 19)}) {
		t.Fatalf("%q", got)
	}
	if got := lines(t, dir, "original"); len(got) != 1 || !strings.Contains(got[0], "1 log record(s) cut") {
		t.Fatalf("%q", got)
	}
}

func TestAlarmsAreRaisedButNotByQuietLines(t *testing.T) {
	dir := t.TempDir()
	plan, err := Compile(configured(t, "--alarm", "a log:", "--log-alarm", "a bad"), dir)
	if err != nil {
		t.Fatal(err)
	}
	var raisedBy []string
	l, err := Start(Options{Raise: func(name string, record []byte) { raisedBy = append(raisedBy, name+" "+string(record)) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.MoveTo(FileOptions{Dir: dir, Path: "original", Mode: -1, UID: -1, GID: -1}, 0); err != nil {
		t.Fatal(err)
	}
	use(t, l, plan)
	l.Quiet([]byte("quietly bad\n"))
	l.Line([]byte("bad\n"))
	l.Line([]byte("good\n"))
	l.Close()
	if !slices.Equal(raisedBy, []string{"a bad\n"}) {
		t.Fatalf("%q", raisedBy)
	}
}

func TestWritersAreNotHeldUpForEverByAMasterThatDoesNotRead(t *testing.T) {
	i, err := newInlet("log", false, assembler{emit: func(int32, kind, []byte) {}}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	defer i.close()
	timeout, err := unix.GetsockoptTimeval(int(i.theirs.Fd()), unix.SOL_SOCKET, unix.SO_SNDTIMEO)
	if err != nil || time.Duration(unix.TimevalToNsec(*timeout)) != writerTime {
		t.Fatalf("%v, %v", timeout, err)
	}
}

func TestALoggerThatCannotBeOpenedIsNamed(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"file:/none/x.log", "fd:999", "syslog:a,none", "fd:x"} {
		l, plan := started(t, dir, "--logger", "stdio", "--logger", text)
		if _, err := l.Open(plan); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
		l.Close()
	}
}
