package master

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"envoxyd/master/process"
	"envoxyd/uwsgiopts"
)

func TestFifoCommandsReachTheMaster(t *testing.T) {
	dir := t.TempDir()
	pidfile := filepath.Join(dir, "pid")
	if err := os.WriteFile(filepath.Join(dir, "one"), []byte("in the way"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := &master{cfg: &uwsgiopts.Config{StartDir: dir, MasterFifo: []string{"one", "two"}}, events: make(chan event), upgrader: &upgrader{}}
	m.owned.pidfiles = pidfiles{pidfile: nil}
	m.triggers.fifo.reconfigure(m)
	defer func() { m.triggers.fifo.close() }()
	info, err := os.Lstat(filepath.Join(dir, "one"))
	if err != nil || info.Mode() != os.ModeNamedPipe|0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	send := func(name, bytes string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(bytes), 0); err != nil {
			t.Fatal(err)
		}
		for range bytes {
			(<-m.events)(m)
		}
	}
	send("one", "?\nP")
	if text, err := os.ReadFile(pidfile); err != nil || string(text) != pidText()+"\n" {
		t.Errorf("pidfile: %q, %v", text, err)
	}
	send("one", "1")
	if m.triggers.fifo.slot != 1 || !m.triggers.fifo.there() {
		t.Errorf("slot %d", m.triggers.fifo.slot)
	}
	send("two", "7")
	if m.triggers.fifo.slot != 0 {
		t.Errorf("a slot that is not there: %d", m.triggers.fifo.slot)
	}
	if err := os.Remove(filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	m.triggers.fifo.restore(m)
	send("one", " ")
	m.triggers.fifo.remove()
	for _, name := range []string{"one", "two"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFifoThatCannotBeMadeIsTriedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	m := &master{cfg: &uwsgiopts.Config{StartDir: dir, MasterFifo: []string{"one"}}, events: make(chan event), upgrader: &upgrader{}}
	f := &m.triggers.fifo
	f.reconfigure(m)
	defer func() { f.close() }()
	f.restore(m)
	if f.file != nil || f.failed == "" {
		t.Fatalf("made in a directory that does not exist: %q", f.failed)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f.restore(m)
	if f.file == nil || !f.there() || f.failed != "" {
		t.Fatalf("not made: %q", f.failed)
	}
}

func TestChainGoesOnWhenTheSuccessorIsReady(t *testing.T) {
	g := testGeneration(t, 3, 1)
	var processes []*fakeProcess
	for i, w := range g.workers {
		processes = append(processes, occupy(w, process.Ready, 10+i))
	}
	victim := func() int {
		if g.m.reloads.chain == nil {
			return 0
		}
		return g.m.reloads.chain.victim.ID
	}
	succeed := func(w *worker, pid int) {
		w.Ended(w.PID(), time.Now())
		occupy(w, process.Starting, pid)
	}
	g.m.chainReload()
	g.m.advanceChain()
	if victim() != 1 || !received(processes[0], syscall.SIGHUP) {
		t.Fatalf("victim %d", victim())
	}
	succeed(g.workers[0], 20)
	g.m.advanceChain()
	if victim() != 1 {
		t.Fatalf("went on to %d before worker 1 was ready", victim())
	}
	g.workers[0].MarkReady(20)
	g.m.advanceChain()
	if victim() != 2 {
		t.Fatalf("victim %d", victim())
	}
	succeed(g.workers[1], 21)
	g.workers[1].Backoff.Ended(0)
	g.m.advanceChain()
	if g.m.reloads.chain != nil || len(processes[2].sent) != 0 {
		t.Fatal("went on although worker 2 does not come up")
	}
}
