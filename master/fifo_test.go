package master

import (
	"os"
	"path/filepath"
	"testing"

	"envoxyd/uwsgiopts"
)

func TestFifoCommandsReachTheMaster(t *testing.T) {
	dir := t.TempDir()
	pidfile := filepath.Join(dir, "pid")
	if err := os.WriteFile(filepath.Join(dir, "one"), []byte("in the way"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := &master{cfg: &uwsgiopts.Config{StartDir: dir, MasterFifo: []string{"one", "two"}}, events: make(chan event), upgrader: &upgrader{}}
	m.pidfiles = pidfiles{pidfile: nil}
	m.fifo.follow(m)
	defer func() { m.fifo.close() }()
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
	if m.fifo.slot != 1 || !m.fifo.there() {
		t.Errorf("slot %d", m.fifo.slot)
	}
	send("two", "7")
	if m.fifo.slot != 0 {
		t.Errorf("a slot that is not there: %d", m.fifo.slot)
	}
	if err := os.Remove(filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	m.fifo.restore(m)
	send("one", " ")
	m.fifo.remove()
	for _, name := range []string{"one", "two"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChainGoesOnWhenTheSuccessorIsReady(t *testing.T) {
	g := testGeneration(t, 3, 1)
	process, err := os.FindProcess(1 << 22) // beyond the kernel's numbers: signals go nowhere
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range g.workers {
		w.pid, w.process, w.ready = 10+i, process, true
	}
	victim := func() int {
		if g.m.chain == nil {
			return 0
		}
		return g.m.chain.victim.id
	}
	g.m.chainReload()
	g.m.followChain()
	if victim() != 1 || g.workers[0].mercy.IsZero() {
		t.Fatalf("victim %d", victim())
	}
	g.workers[0].pid, g.workers[0].ready = 20, false
	g.m.followChain()
	if victim() != 1 {
		t.Fatalf("went on to %d before worker 1 was ready", victim())
	}
	g.workers[0].ready = true
	g.m.followChain()
	if victim() != 2 {
		t.Fatalf("victim %d", victim())
	}
	g.workers[1].pid, g.workers[1].ready, g.workers[1].quick = 21, false, 1
	g.m.followChain()
	if g.m.chain != nil || !g.workers[2].mercy.IsZero() {
		t.Fatal("went on although worker 2 does not come up")
	}
}
