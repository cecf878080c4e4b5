package procmem

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAReservationIsPartOfTheSizeAndOfNothingElse(t *testing.T) {
	const reserved = 1 << 30
	before := Self.Reserved()
	rssBefore, _ := Self.Size()
	memory, err := unix.Mmap(-1, 0, reserved, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(memory) }()
	if got := Self.Reserved() - before; got < reserved {
		t.Errorf("%d bytes more are reserved", got)
	}
	if rss, vsz := Self.Size(); rss-rssBefore >= reserved || vsz < reserved {
		t.Errorf("%d resident of %d bytes", rss, vsz)
	}
}

func TestMemoryThatIsWrittenIsTheProcesssOwn(t *testing.T) {
	const written = 64 << 20
	before, _ := Self.Own()
	memory, err := unix.Mmap(-1, 0, written, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(memory) }()
	for i := 0; i < written; i += os.Getpagesize() {
		memory[i] = 1
	}
	uss, pss := Self.Own()
	if uss-before < written*9/10 || pss < uss {
		t.Errorf("own memory grew from %d to %d bytes, with a part of %d", before, uss, pss)
	}
}

func TestAProcessByItsNumber(t *testing.T) {
	if rss, vsz := PID(os.Getpid()).Size(); rss <= 0 || vsz < rss {
		t.Errorf("%d resident of %d bytes", rss, vsz)
	}
	const never = 1 << 30 // above what pid_max may be
	rss, vsz := PID(never).Size()
	uss, pss := PID(never).Own()
	if rss != 0 || vsz != 0 || uss != 0 || pss != 0 || PID(never).Reserved() != 0 {
		t.Error("a process that is not there has memory")
	}
}
