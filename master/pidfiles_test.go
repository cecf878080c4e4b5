package master

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAPidfileIsRewrittenInPlaceWhereNoOtherMayBeMade(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pid")
	own := pidText() + "\n"
	if err := os.WriteFile(path, []byte("123456789012\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	open, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if file, err := rewritePidfile(path, open, unix.EACCES); err != nil || file != open {
		t.Fatalf("by the open file: %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != own {
		t.Errorf("got %q", text)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := rewritePidfile(path, open, unix.EACCES)
	if err != nil || file == open {
		t.Fatalf("another file is at the path: %v", err)
	}
	file.Close()
	if text, _ := os.ReadFile(path); string(text) != own {
		t.Errorf("got %q", text)
	}
	if _, err := rewritePidfile(filepath.Join(dir, "no"), nil, unix.EACCES); err == nil {
		t.Error("there is no such file, and that is no error")
	}
}

func TestPidfilesAreKeptOpenForTheNextMaster(t *testing.T) {
	dir := t.TempDir()
	var made pidfiles
	nothing := func(string) int { return -1 }
	for range 2 {
		if err := made.write("pid", dir, nothing); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "pid")
	fd, there := made.descriptors()[pidfileKey+path]
	if !there || len(made) != 1 || !isFile(path, statOf(made[path])) {
		t.Fatalf("descriptor %d, %v", fd, made)
	}
	made.remove()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("vacuum leaves it: %v", err)
	}
}
