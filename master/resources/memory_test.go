package resources

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func none(string) int { return -1 }

func TestMemoryIsMadeOnceAndKept(t *testing.T) {
	r, err := Open(none)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	one, err := r.Get(Memory{Key: "cache-a\n1"}, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.WriteString("kept"); err != nil {
		t.Fatal(err)
	}
	if again, err := r.Get(Memory{Key: "cache-a\n1"}, t.Logf); err != nil || again != one {
		t.Errorf("another file: %v", err)
	}
	if other, err := r.Get(Memory{Key: "cache-a\n2"}, t.Logf); err != nil || other == one {
		t.Errorf("the same file for another geometry: %v", err)
	}
	passed := r.Passed()
	next, err := Open(func(key string) int {
		if fd, is := passed[key]; is {
			copied, err := unix.Dup(fd)
			if err != nil {
				t.Fatal(err)
			}
			return copied
		}
		return -1
	})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	taken, err := next.Get(Memory{Key: "cache-a\n1"}, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 4)
	if _, err := taken.ReadAt(text, 0); err != nil || string(text) != "kept" {
		t.Errorf("%q: %v", text, err)
	}
	if err := r.Keep(map[string]bool{"cache-a\n2": true}); err != nil || len(r.memory) != 1 {
		t.Errorf("%v: %v", r.memory, err)
	}
}

func TestStores(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store")
	get := func(m Memory) (string, error) {
		t.Helper()
		r, err := Open(none)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var said strings.Builder
		file, err := r.Get(m, func(format string, args ...any) { said.WriteString(format) })
		if err == nil {
			if info, err := file.Stat(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v: %v", info.Mode(), err)
			}
		}
		return said.String(), err
	}
	never := func(int) bool { return false }
	if said, err := get(Memory{Key: "k", Store: store, Fits: never}); err != nil || said != "" { // new
		t.Errorf("%q: %v", said, err)
	}
	for number := range 2 {
		if err := os.WriteFile(store, []byte{byte('0' + number)}, 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := get(Memory{Key: "k", Store: store, Fits: never}); err != nil || said == "" {
			t.Errorf("%q: %v", said, err)
		}
	}
	for number, old := range []string{store + ".old", store + ".old1"} {
		if text, err := os.ReadFile(old); err != nil || string(text) != string(rune('0'+number)) {
			t.Errorf("%s: %q, %v", old, text, err)
		}
	}
	if err := os.WriteFile(store, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := get(Memory{Key: "k", Store: store, Fits: never, Replace: true}); err != nil || said == "" {
		t.Errorf("%q: %v", said, err)
	}
	if _, err := os.Stat(store + ".old2"); err == nil {
		t.Error("store_delete has kept the file")
	}
	if _, err := get(Memory{Key: "k", Store: filepath.Join(store, "in a file")}); err == nil {
		t.Error("no error for a path that is none")
	}
}

func TestAStoreIsOfOneInstance(t *testing.T) {
	m := Memory{Key: "k", Store: filepath.Join(t.TempDir(), "store")}
	first, err := Open(none)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	file, err := first.Get(m, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(none)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Get(m, t.Logf); err == nil || !strings.Contains(err.Error(), "another instance") {
		t.Errorf("the store of another instance: %v", err)
	}
	next, err := Open(func(key string) int { // an upgrade
		if key != keyPrefix+"k" {
			return -1
		}
		fd, err := unix.Dup(int(file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		return fd
	})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if _, err := next.Get(m, t.Logf); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	next.Claim()
	if _, err := other.Get(m, t.Logf); err == nil {
		t.Error("after the upgrade the store is nobody's")
	}
}

func TestACopyHasTheDataAndTheHoles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "store")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const far = 1 << 30
	for _, at := range []int64{0, far} {
		if _, err := file.WriteAt([]byte("data"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Truncate(2 * far); err != nil {
		t.Fatal(err)
	}
	if err := putCopy(int(file.Fd()), name); err != nil {
		t.Fatal(err)
	}
	copied, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	var before, after unix.Stat_t
	if err := errors.Join(unix.Fstat(int(file.Fd()), &before), unix.Fstat(int(copied.Fd()), &after)); err != nil {
		t.Fatal(err)
	}
	if after.Ino == before.Ino || after.Size != before.Size || after.Blocks > 1000 || after.Mode != before.Mode&^0o177 {
		t.Errorf("%+v of %+v", after, before)
	}
	for _, at := range []int64{0, far} {
		text := make([]byte, 5)
		if _, err := copied.ReadAt(text, at); err != nil || string(text) != "data\x00" {
			t.Errorf("%q: %v", text, err)
		}
	}
}
