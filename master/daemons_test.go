package master

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

func TestDaemonThrottle(t *testing.T) {
	for _, test := range []struct {
		spawned, most int
		age           time.Duration
		want          time.Duration
	}{
		{1, 0, time.Minute, 0},
		{1, 0, 0, time.Second},
		{5, 0, 2 * time.Second, 3 * time.Second},
		{1, 0, 2 * time.Second, time.Second},
		{1000, 0, 0, 300 * time.Second},
		{1000, 7, 0, 7 * time.Second},
	} {
		d := &attachedDaemon{Daemon: uwsgiopts.Daemon{MaxThrottle: test.most}, spawned: test.spawned}
		if got := d.throttle(test.age); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestDaemonsAreReplacedOnlyWhenTheLastOnesHaveGone(t *testing.T) {
	dir := t.TempDir()
	m := &master{events: make(chan event), commands: newCommands()}
	defer m.commands.close()
	m.hooks = m.newHooks()
	configure := func(command string) {
		m.cfg = &uwsgiopts.Config{StartDir: dir}
		m.cfg.Daemons = []uwsgiopts.Daemon{{Command: command, StopSignal: 10}}
		m.replaceDaemons()
	}
	configure("trap 'echo old >> order; exit' USR1; : > up; while :; do sleep 0.01; done")
	first := m.daemons.all[0]
	for deadline := time.Now().Add(10 * time.Second); ; { // until the trap is set
		if _, err := os.Stat(filepath.Join(dir, "up")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the daemon has not come up")
		}
	}
	configure("echo new >> order")
	if m.daemons.all[0].pid != 0 || first.pid == 0 {
		t.Fatal("did not wait for the old one")
	}
	(<-m.events)(m) // its end
	if m.daemons.all[0].pid == 0 || len(m.daemons.leaving) != 0 {
		t.Fatal("the new one has not started")
	}
	m.stopping = true
	(<-m.events)(m)
	if !m.daemons.gone() {
		t.Error("something is left")
	}
	text, err := os.ReadFile(filepath.Join(dir, "order"))
	if err != nil || strings.Join(strings.Fields(string(text)), " ") != "old new" {
		t.Errorf("%q, %v", text, err)
	}
}
