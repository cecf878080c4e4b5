package master

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

func TestDaemonsAreProcessesOfTheMasters(t *testing.T) {
	dir := t.TempDir()
	m := &master{events: make(chan event), commands: newCommands()}
	defer m.commands.close()
	m.hooks = m.newHooks()
	m.newDaemons()
	configure := func(command string) {
		m.cfg = &uwsgiopts.Config{StartDir: dir}
		m.cfg.Daemons = []uwsgiopts.Daemon{{Command: command, StopSignal: 10}}
		m.replaceDaemons()
	}
	configure("trap 'echo old >> order; exit' USR1; : > up; while :; do sleep 0.01; done")
	for deadline := time.Now().Add(10 * time.Second); ; { // until the trap is set
		if _, err := os.Stat(filepath.Join(dir, "up")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the daemon has not come up")
		}
	}
	configure("echo new >> order")
	(<-m.events)(m) // the end of the old one
	m.life.stopping = true
	for !m.jobs.daemons.Gone() {
		(<-m.events)(m)
	}
	text, err := os.ReadFile(filepath.Join(dir, "order"))
	if err != nil || strings.Join(strings.Fields(string(text)), " ") != "old new" {
		t.Errorf("%q, %v", text, err)
	}
}
