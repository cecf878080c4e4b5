package resources

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestResourcesPassFromOneMasterToTheNext(t *testing.T) {
	first, err := Open(func(string) int { return -1 })
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	passed := first.Passed()
	next, err := Open(func(key string) int {
		fd, err := unix.Dup(passed[key])
		if err != nil {
			t.Fatal(err)
		}
		return fd
	})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	for name, file := range first.all() {
		before, err := (*file).Stat()
		if err != nil {
			t.Fatal(err)
		}
		after, err := (*next.all()[name]).Stat()
		if err != nil || !os.SameFile(before, after) {
			t.Errorf("%s is another file: %v", name, err)
		}
	}
}
