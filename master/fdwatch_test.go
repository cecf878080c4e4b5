package master

import (
	"os"
	"testing"
)

// TestTwoWatchesOfOneDescriptor: what one of them has read is not waited for by the other.
func TestTwoWatchesOfOneDescriptor(t *testing.T) {
	tm := newTestMaster(t, 1)
	tm.start()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	defer to.Close()
	var one, other fdWatches
	defer one.close()
	defer other.close()
	read := 0
	for _, w := range []*fdWatches{&one, &other} {
		w.watch(tm.master, "alarm-fd", int(from.Fd()), 16, func(*master) { read++ })
	}
	for round := 1; round <= 3; round++ {
		if _, err := to.WriteString("x"); err != nil {
			t.Fatal(err)
		}
		tm.turn("one has read", func() bool { return read == round })
	}
	tm.turn("both watch", func() bool { return len(one.watches) == 1 && len(other.watches) == 1 })
}
