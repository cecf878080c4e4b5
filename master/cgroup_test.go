package master

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"envoxyd/uwsgiopts"
)

// fakeGroups makes files as the kernel would.
func fakeGroups(t *testing.T, names ...string) *uwsgiopts.Config {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := &uwsgiopts.Config{StartDir: dir}
	cfg.CgroupDirMode = 0o750
	return cfg
}

func TestASettingIsForTheGroupsThatHaveIt(t *testing.T) {
	cfg := fakeGroups(t, "cpu/cpu.shares", "cpu/cgroup.procs", "pids/pids.max", "pids/cgroup.procs")
	cfg.Cgroups, cfg.CgroupOpts = []string{"cpu", "pids"}, []string{"pids.max=50", "cpu.shares=300"}
	if err := joinCgroups(cfg); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"cpu/cpu.shares": "300\n", "pids/pids.max": "50\n"} {
		if text, err := os.ReadFile(filepath.Join(cfg.StartDir, name)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if _, err := os.Stat(filepath.Join(cfg.StartDir, "cpu/pids.max")); err == nil {
		t.Error("a file was made that the kernel has not")
	}
	cfg.CgroupOpts = append(cfg.CgroupOpts, "memory.max=1")
	if err := joinCgroups(cfg); err == nil || !strings.Contains(err.Error(), "memory.max=1: none of the control groups (cpu, pids) has such a setting") {
		t.Error(err)
	}
}

func TestADirectoryThatIsNoControlGroupIsNotLeftBehind(t *testing.T) {
	cfg := fakeGroups(t)
	cfg.Cgroups = []string{"plain"}
	if err := joinCgroups(cfg); err == nil || !strings.Contains(err.Error(), "is no control group") {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(cfg.StartDir, "plain")); !os.IsNotExist(err) {
		t.Error("the directory is still there")
	}
	dir := filepath.Join(cfg.StartDir, "new")
	if made, err := makeCgroup(dir, 0o755); !made || err != nil {
		t.Fatal(made, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Error(info, err)
	}
}

func TestAReloadJoinsWhatHasChanged(t *testing.T) {
	before := fakeGroups(t, "one/cgroup.procs", "two/cgroup.procs")
	before.Cgroups = []string{"absent"} // a group that could not be joined any more
	same := *before
	if err := rejoinCgroups(before, &same); err != nil {
		t.Error(err)
	}
	same.Cgroups = []string{"two"}
	if err := rejoinCgroups(before, &same); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(before.StartDir, "two/cgroup.procs")); err != nil || len(text) == 0 {
		t.Errorf("%q, %v", text, err)
	}
}
