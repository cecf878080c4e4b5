package master

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

func TestMercyComesFromWhicheverOptionPeopleSet(t *testing.T) {
	for _, c := range []struct {
		worker, all, want time.Duration
	}{
		{defaultMercy, 0, defaultMercy},
		{5 * time.Second, 0, 5 * time.Second},
		{defaultMercy, 8 * time.Second, 8 * time.Second},
		{5 * time.Second, 8 * time.Second, 5 * time.Second},
		{0, 0, defaultMercy},
	} {
		if got := mercy(&uwsgiopts.Config{WorkerReloadMercy: c.worker, ReloadMercy: c.all}); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

func TestNamesOfProcesses(t *testing.T) {
	for _, c := range []struct {
		cfg            uwsgiopts.Config
		master, worker string
	}{
		{uwsgiopts.Config{}, "", ""},
		{uwsgiopts.Config{AutoProcname: true}, "uWSGI master", "uWSGI worker \x00"},
		{uwsgiopts.Config{AutoProcname: true, Procname: "100%d"}, "100%d", "100%d"},
		{uwsgiopts.Config{ProcnamePrefix: "shop ", ProcnameAppend: "!"}, "shop uWSGI master!", "shop uWSGI worker \x00!"},
		{uwsgiopts.Config{ProcnameMaster: "boss", ProcnamePrefix: "x"}, "boss", "xuWSGI worker \x00"},
	} {
		if m, w := masterName(&c.cfg), workerName(&c.cfg); m != c.master || w != c.worker {
			t.Errorf("%+v: %q and %q, want %q and %q", c.cfg, m, w, c.master, c.worker)
		}
	}
}

func TestThePythonOfTheVirtualenvIsTaken(t *testing.T) {
	home := t.TempDir()
	t.Setenv("VIRTUAL_ENV", "")
	cfg := &uwsgiopts.Config{StartDir: filepath.Dir(home), Home: filepath.Base(home)}
	if _, err := findPython(cfg); err == nil || !strings.Contains(err.Error(), "bin/python3") {
		t.Fatalf("an empty directory is taken for a virtualenv: %v", err)
	}
	python := filepath.Join(home, "bin", "python3")
	if err := os.Mkdir(filepath.Dir(python), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(python, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := findPython(cfg); err != nil || got != python {
		t.Fatalf("--home: %q, %v", got, err)
	}
	t.Setenv("VIRTUAL_ENV", home)
	if got, err := findPython(&uwsgiopts.Config{StartDir: "/"}); err != nil || got != python {
		t.Fatalf("VIRTUAL_ENV: %q, %v", got, err)
	}
	if _, err := findPython(&uwsgiopts.Config{StartDir: "/", Home: "/no/such"}); err == nil {
		t.Fatal("a missing home is taken")
	}
}

func TestTheZygoteInheritsNothingThatIsBetweenMasters(t *testing.T) {
	for _, name := range []string{daemonVariable, "TABLEFLIP_HAS_PARENT_7DIU3", "LISTEN_FDS", "DROPPED"} {
		t.Setenv(name, "1")
	}
	t.Setenv("KEPT", "1")
	env := zygoteEnvironment(&uwsgiopts.Config{Env: []string{"ADDED=2", "DROPPED"}}, 3)
	for _, want := range []string{"KEPT=1", "ADDED=2", "UWSGI_RELOADS=3"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		if slices.Contains([]string{daemonVariable, "TABLEFLIP_HAS_PARENT_7DIU3", "LISTEN_FDS", "DROPPED"}, name) {
			t.Errorf("%s is there", pair)
		}
	}
}
