package master

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"envoxyd/uwsgiopts"
)

func TestALockedFileKeepsASecondInstanceOut(t *testing.T) {
	dir := t.TempDir()
	cfg := &uwsgiopts.Config{StartDir: dir}
	cfg.Flocks = []uwsgiopts.Flock{{Path: "lock"}}
	var first, second, next fileLocks
	if first.take(t.Context(), cfg, false) == nil {
		t.Fatal("a file that is not there was locked")
	}
	if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := first.take(t.Context(), cfg, false); err != nil {
		t.Fatal(err)
	}
	if second.take(t.Context(), cfg, false) == nil {
		t.Fatal("two have the lock")
	}
	if err := next.take(t.Context(), cfg, true); err != nil || len(next.later) != 1 {
		t.Fatalf("the next master does not start beside the old one: %v", err)
	}
	if next.retry(); len(next.held) != 0 {
		t.Fatal("it has the lock too early")
	}
	first.held[0].Close()
	if next.retry(); len(next.held) != 1 || len(next.later) != 0 {
		t.Fatal("it has not got the lock")
	}
}

func TestTheProcessJoinsItsControlGroups(t *testing.T) {
	dir := t.TempDir()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, name := range []string{"new/memory.max", "new/cgroup.procs", "old/memory.max", "old/tasks"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := &uwsgiopts.Config{StartDir: dir}
	cfg.Cgroups, cfg.CgroupOpts, cfg.CgroupDirMode = []string{"new", "old"}, []string{"memory.max=1000"}, 0o700
	if err := joinCgroups(cfg); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if read("new/cgroup.procs") != pid || read("old/tasks") != pid || read("new/memory.max") != "1000\n" || read("old/memory.max") != "1000\n" {
		t.Error("the files do not say so")
	}
	cfg.Cgroups = []string{"third"} // a plain directory is no control group
	if joinCgroups(cfg) == nil {
		t.Error("a directory without the kernel's files was joined")
	}
}
