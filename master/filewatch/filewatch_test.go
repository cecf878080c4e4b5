package filewatch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestChangesOfFilesAndDirectories(t *testing.T) {
	dir := t.TempDir()
	file, late := filepath.Join(dir, "file"), filepath.Join(t.TempDir(), "late")
	write := func(name string) {
		t.Helper()
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file)
	seen := make(chan string)
	for name, path := range map[string]string{"file": file, "directory": dir, "late": late} {
		w, err := New(path, 0, func(stopped <-chan struct{}) {
			select {
			case seen <- name:
			case <-stopped:
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Stop)
	}
	await := func(what, name string) {
		t.Helper()
		limit := time.After(10 * time.Second)
		for {
			select {
			case got := <-seen:
				if got == name {
					return
				}
			case <-limit:
				t.Fatalf("%s is not seen", what)
			}
		}
	}
	write(filepath.Join(dir, "other"))
	await("a new file in a directory", "directory")
	write(file)
	await("a changed file", "file")
	write(late)
	await("a file that comes late", "late")
	write(filepath.Join(dir, "new"))
	if err := os.Rename(filepath.Join(dir, "new"), file); err != nil {
		t.Fatal(err)
	}
	await("a replaced file", "file")
}

func TestStopDoesNotWaitForWhatWaits(t *testing.T) {
	dir := t.TempDir()
	entered := make(chan struct{}, 10)
	w, err := New(dir, 0, func(stopped <-chan struct{}) {
		entered <- struct{}{}
		<-stopped
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-entered
	w.Stop()
	w.Stop()
}

func TestManyChangesAtOnceAreOne(t *testing.T) {
	dir := t.TempDir()
	seen := make(chan struct{}, 100)
	w, err := New(dir, 50*time.Millisecond, func(<-chan struct{}) { seen <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for range 20 {
		if err := os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	<-seen
	if n := len(seen); n != 0 {
		t.Errorf("%d more", n)
	}
}
