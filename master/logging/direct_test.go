package logging

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhatCannotBeWrittenDirectlyIsCounted(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	path := filepath.Join(t.TempDir(), "log")
	free, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	d := NewDirect()
	d.file.handle = full
	for _, text := range []string{"a\n", "b\nc\n"} {
		if n, err := d.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	d.file.handle = free
	_, _ = d.Write([]byte("d\n"))
	_, _ = d.Write([]byte("e\n"))
	text, err := os.ReadFile(path)
	if want := "*** 3 log line(s) lost: write /dev/full: no space left on device ***\nd\ne\n"; err != nil || string(text) != want {
		t.Fatalf("%q, %v", text, err)
	}
}

func TestALogFileOnAFullDiskIsNoError(t *testing.T) {
	d := NewDirect()
	d.file.say = func(string, ...any) {}
	tries := 0
	d.file.open = func(FileOptions, int) (*os.File, error) {
		tries++
		return nil, unix.EDQUOT
	}
	o := FileOptions{Path: "x"}
	if err := d.Open(o, 0); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		_, _ = d.Write(nil)
	}
	if tries != 2 { // the second try is the first line's; the others come within a second
		t.Errorf("%d tries", tries)
	}
	d.file.open = func(FileOptions, int) (*os.File, error) { return nil, unix.EACCES }
	if err := d.Open(o, 0); !errors.Is(err, unix.EACCES) {
		t.Errorf("%v", err)
	}
}
