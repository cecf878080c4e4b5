package worker

import (
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A file that sendfile(2) does not read is copied.
func TestAFileIsCopiedWhereSendfileCannot(t *testing.T) {
	file, err := os.Open("/proc/self/limits") // sendfile(2) says EINVAL
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "ours"), os.NewFile(uintptr(ends[1]), "theirs")
	defer theirs.Close()
	if err := sendFileRest(ours, &fileRest{file: file, offset: 5, size: int64(len(want)) - 5}, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	if got, err := io.ReadAll(theirs); err != nil || string(got) != string(want[5:]) {
		t.Errorf("got %q, %v", got, err)
	}
}
