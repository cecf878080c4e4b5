package stats

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

func TestRRDCommands(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there.rrd"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	metrics := []Metric{{Name: "there", Value: 3}, {Name: "worker.1.requests", Kind: uwsgiopts.Counter, Value: 7}, {Name: "-a b/../c", Kind: uwsgiopts.Gauge, Value: -1}}
	got, err := rrdCommands(dir, metrics, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	const archives = " RRA:AVERAGE:0.5:1:600 RRA:AVERAGE:0.5:6:700 RRA:AVERAGE:0.5:24:775 RRA:AVERAGE:0.5:288:797" +
		" RRA:MAX:0.5:1:600 RRA:MAX:0.5:6:700 RRA:MAX:0.5:24:775 RRA:MAX:0.5:288:797\n"
	want := "update there.rrd N:3\n" +
		"create worker.1.requests.rrd --step 10 DS:metric:DERIVE:20:0:U" + archives + "update worker.1.requests.rrd N:7\n" +
		"create a_b_.._c.rrd --step 10 DS:metric:GAUGE:20:U:U" + archives + "update a_b_.._c.rrd N:-1\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if _, err := rrdCommands(filepath.Join(dir, "there.rrd"), metrics, time.Second); err == nil {
		t.Error("a file is taken for a directory")
	}
}

// plain starts programs, as a master does that nobody else has children of.
type plain struct{}

func (plain) Start(cmd *exec.Cmd) error { return cmd.Start() }
func (plain) Wait(cmd *exec.Cmd) error  { return cmd.Wait() }

// program puts a shell script called rrdtool first on PATH.
func program(t *testing.T, script string) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, RRDProgram), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func rrdPusher(t *testing.T) (*pusher, string) {
	dir := t.TempDir()
	var pushers Pushers
	pushers.Replace(PushSettings{Dir: dir, Processes: plain{}, PushConfig: uwsgiopts.PushConfig{RRDTool: []string{"."}, RRDEvery: 5 * time.Second}})
	return pushers.all[0], dir
}

func TestRRDToolIsGivenAllMetricsAndItsErrorsAreTold(t *testing.T) {
	p, dir := rrdPusher(t)
	program(t, "test $# = 1 -a x$1 = x- || exit 3\ncat > commands\necho 'OK u:0.00 s:0.00 r:0.00'\n")
	if err := p.send(context.Background(), sample(), time.Now()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "commands"))
	if err != nil || !strings.Contains(string(text), "\nupdate worker.0.requests.rrd N:16\n") || !strings.Contains(string(text), "create worker.1.core.0.requests.rrd --step 5 ") {
		t.Errorf("%v:\n%s", err, text)
	}
	program(t, "cat > /dev/null; echo 'ERROR: a.rrd: illegal update'; echo 'OK u:0'; echo 'ERROR: b'\n")
	if err := p.send(context.Background(), sample(), time.Now()); err == nil || err.Error() != "a.rrd: illegal update\nb" {
		t.Errorf("errors of rrdtool: %v", err)
	}
	program(t, "exit 3\n")
	if err := p.send(context.Background(), sample(), time.Now()); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("the status of rrdtool: %v", err)
	}
}

// The commands are ones that rrdtool itself takes.
func TestRRDToolItself(t *testing.T) {
	if _, err := exec.LookPath(RRDProgram); err != nil {
		t.Skip("rrdtool is not installed")
	}
	p, dir := rrdPusher(t)
	if err := p.send(context.Background(), sample(), time.Now()); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command(RRDProgram, "lastupdate", filepath.Join(dir, "core.busy_workers.rrd")).CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?s)metric\s+\d+: 1\s`).Match(said) {
		t.Errorf("%v: %s", err, said)
	}
}
