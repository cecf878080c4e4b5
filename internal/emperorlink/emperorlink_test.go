package emperorlink

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTake(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	t.Setenv(Variable, strconv.Itoa(fds[0]))
	link, fd := Take(Variable, "link")
	if link == nil || fd != fds[0] {
		t.Fatalf("%v, %d", link, fd)
	}
	defer link.Close()
	if _, there := os.LookupEnv(Variable); there {
		t.Error("the variable is still there")
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("it is inherited: %v, %v", flags, err)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, text := range []string{"", "x", "1", strconv.Itoa(int(file.Fd()))} {
		t.Setenv(Variable, text)
		if link, _ := Take(Variable, "link"); link != nil {
			t.Errorf("%q is taken", text)
		}
	}
}
