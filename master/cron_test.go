package master

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

func TestCronRunsOnceAMinuteAndUniqueOnesDoNotOverlap(t *testing.T) {
	dir := t.TempDir()
	m := &master{cfg: &uwsgiopts.Config{StartDir: dir}, events: make(chan event), commands: newCommands()}
	m.hooks = m.newHooks()
	any := [5]int{-1, -1, -1, -1, -1}
	m.cfg.Crons = []uwsgiopts.Cron{{When: any, Command: "echo ran >> out", Unique: true}, {When: [5]int{-1, -1, -1, 13, -1}, Command: "echo never >> out"}}
	m.jobs.crons.reconfigure(m.cfg)
	now := time.Date(2026, 3, 1, 9, 30, 12, 0, time.Local)
	job := m.jobs.crons[0]
	m.runCrons(now)
	m.runCrons(now.Add(30 * time.Second))
	m.runCrons(now.Add(2 * time.Minute))
	if job.running != 1 || job.pid <= 0 {
		t.Fatalf("%+v", job)
	}
	(<-m.events)(m)
	if job.running != 0 || job.pid != -1 {
		t.Fatalf("%+v", job)
	}
	m.jobs.crons.reconfigure(m.cfg) // a reload does not run it again
	m.runCrons(now.Add(30 * time.Second))
	m.runCrons(now.Add(2 * time.Minute))
	(<-m.events)(m)
	m.commands.close()
	if text, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(text) != "ran\nran\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// The sweep that looks at the jobs comes once in a second and a bit, so from minute to minute it comes a little earlier or later.
func TestCronRunsInEachMinuteOnce(t *testing.T) {
	any := [5]int{-1, -1, -1, -1, -1}
	thirty := [5]int{30, -1, -1, -1, -1}
	clock := func(text string) time.Time {
		at, err := time.ParseInLocation("15:04:05.000", text, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		return at.AddDate(2026, 5, 5)
	}
	type look struct {
		at   string
		want bool
	}
	for _, tt := range []struct {
		name  string
		when  [5]int
		looks []look
	}{
		{"every minute", any, []look{{"09:30:00.900", true}, {"09:30:01.950", false}, {"09:30:59.990", false}, {"09:31:00.200", true}, {"09:31:59.990", false}, {"09:32:00.100", true}}},
		{"started late in a minute", any, []look{{"09:30:59.500", true}, {"09:31:00.500", true}, {"09:31:59.000", false}}},
		{"minute 30", thirty, []look{{"09:29:59.990", false}, {"09:30:00.990", true}, {"09:30:59.990", false}, {"09:31:00.990", false}, {"10:30:00.100", true}}},
		{"the looks stood still", any, []look{{"09:30:00.100", true}, {"09:33:20.000", true}, {"09:33:21.000", false}}},
		{"the clock is corrected", any, []look{{"09:31:00.100", true}, {"09:30:59.900", false}, {"09:31:00.900", false}, {"09:32:00.100", true}}},
		{"the clock was an hour ahead", any, []look{{"10:31:00.100", true}, {"09:31:00.100", true}, {"09:31:01.100", false}, {"09:32:00.100", true}}},
	} {
		job := &cronJob{Cron: uwsgiopts.Cron{When: tt.when}}
		for _, l := range tt.looks {
			if got := job.take(clock(l.at)); got != l.want {
				t.Errorf("%s: at %s %t, want %t", tt.name, l.at, got, l.want)
			}
		}
	}
	unique := &cronJob{Cron: uwsgiopts.Cron{When: any, Unique: true}, running: 1}
	if unique.take(clock("09:30:00.000")) {
		t.Error("a unique job runs beside itself")
	}
	if unique.running = 0; !unique.take(clock("09:30:20.000")) {
		t.Error("a unique job does not run later in its minute, when the last run has ended")
	}
}
