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
	m.crons.follow(m.cfg)
	now := time.Now()
	job := m.crons[0]
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
	m.crons.follow(m.cfg) // a reload does not run it again
	m.runCrons(now.Add(30 * time.Second))
	m.runCrons(now.Add(2 * time.Minute))
	(<-m.events)(m)
	m.commands.close()
	if text, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(text) != "ran\nran\n" {
		t.Errorf("%q, %v", text, err)
	}
}
