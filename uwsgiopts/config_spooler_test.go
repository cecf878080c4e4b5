package uwsgiopts

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSpoolerOptions(t *testing.T) {
	cfg, _, err := parseIn(t, nil, nil, "--spooler", "one", "--spooler-external", "/srv/jobs/", "--spooler-ordered", "--spooler-frequency", "5",
		"--spooler-max-tasks", "7", "--spooler-harakiri", "9", "--spooler-quiet", "--spooler-chdir", "there", "--spooler-import", "tasks",
		"--spooler-pyimport", "more.py", "--spooler-cheap", "--spooler-signal-as-task", "--chdir", "/", "-Q", "../two")
	if err != nil {
		t.Fatal(err)
	}
	up := cfg.StartDir[:strings.LastIndexByte(cfg.StartDir, '/')]
	want := SpoolerConfig{
		Spoolers:       []Spooler{{Dir: cfg.StartDir + "/one", Processes: 1}, {Dir: "/srv/jobs", External: true}, {Dir: up + "/two", Processes: 1}},
		SpoolerOrdered: true, SpoolerFrequency: 5, SpoolerMaxTasks: 7, SpoolerHarakiri: 9 * time.Second, SpoolerQuiet: true,
		SpoolerChdir: "there", SpoolerImports: []string{"tasks", "more.py"}, SpoolerSignalAsTask: true,
	}
	if !reflect.DeepEqual(cfg.SpoolerConfig, want) {
		t.Errorf("got  %+v\nwant %+v", cfg.SpoolerConfig, want)
	}
	if !cfg.Master {
		t.Error("a spooler needs a master, and there is none")
	}
}

// The last number counts, wherever it stands (tried with uWSGI 2.0.31).
func TestSpoolerProcessesHoldForAllDirectories(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []int
	}{
		{[]string{"--spooler", "a", "--spooler-processes", "3"}, []int{3}},
		{[]string{"--spooler-processes", "3", "--spooler", "a"}, []int{3}},
		{[]string{"--spooler-processes", "3", "--spooler", "a", "--spooler-processes", "2", "--spooler", "b"}, []int{2, 2}},
		{[]string{"--spooler", "a", "--spooler-external", "b", "--spooler-processes", "2"}, []int{2, 0}},
		{[]string{"--spooler", "a", "--spooler-processes", "0"}, []int{1}},
	} {
		cfg, _, err := parseIn(t, nil, nil, c.args...)
		if err != nil {
			t.Errorf("%v: %v", c.args, err)
			continue
		}
		var got []int
		for _, s := range cfg.Spoolers {
			got = append(got, s.Processes)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.args, got, c.want)
		}
	}
}

func TestSpoolerOptionsThatMeanNothing(t *testing.T) {
	for _, args := range [][]string{{"--spooler", ""}, {"--spooler-processes", "1001"}, {"--spooler-external", ""}} {
		if _, _, err := parseIn(t, nil, nil, args...); err == nil || !strings.Contains(err.Error(), args[0][2:]) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
