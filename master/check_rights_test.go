package master

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const nobody = 65534

// privilegedChecker is one for a service of nobody's; root/ and own/ below its directory belong to whom they say, and
// shared/ to a group that --add-gid names.
func privilegedChecker(t *testing.T, lines ...string) *checker {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root checks for somebody else")
	}
	c := parsed(t, append([]string{"uid = 65534", "gid = 65534"}, lines...)...)
	work := c.cfg.StartDir
	for dir := work; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []struct {
		name     string
		uid, gid int
		mode     os.FileMode
	}{{"root", 0, 0, 0o700}, {"own", nobody, nobody, 0o700}, {"shared", 0, 4711, 0o770}} {
		path := filepath.Join(work, dir.name)
		if err := os.Mkdir(path, dir.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, dir.uid, dir.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, dir.mode); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestCheckJudgesRightsAsTheUID(t *testing.T) {
	denied := fmt.Sprintf("permission denied (uid %d, gid %d)", nobody, nobody)
	for _, tt := range []struct{ line, problem, notice string }{
		{"pidfile = root/pid", "", ""}, {"logto = root/log", "", ""}, // written before the rights are dropped
		{"pidfile2 = root/pid", "its directory: " + denied, ""}, {"pidfile2 = own/pid", "", ""}, {"pidfile2 = shared/pid", "its directory: " + denied, ""},
		{"safe-pidfile = root/pid", "its directory: " + denied, ""}, {"logto2 = root/log", "its directory: " + denied, ""},
		{"req-logger = file:root/log", "its directory: " + denied, ""}, {"master-fifo = root/fifo", "its directory: " + denied, ""},
		{"master-fifo = own/fifo", "", ""}, {"master-fifo = root/fifo\nmaster-as-root = true", "", ""}, {"pidfile2 = shared/pid\nadd-gid = 4711", "", ""},
		{"socket = own/site.sock", "", ""}, {"socket = root/site.sock", "", "may not remove or bind it again: its directory: " + denied},
		{"static-map = /a=root/a", "", denied}, {"touch-reload = root/a", "", denied}, {"static-map = /a=root/a\nmaster-as-root = true", "", denied},
		{"chdir = own", "", ""}, {"chdir = root", denied, ""}, {"chdir = root\nmaster-as-root = true", denied, ""},
	} {
		c := privilegedChecker(t, strings.Split(tt.line, "\n")...)
		c.sockets()
		c.writtenFiles()
		c.asWorker(c.readFiles)
		c.asMaster(c.masterFiles)
		c.directory()
		for what, got := range map[string]struct {
			found []string
			want  string
		}{"problems": {c.report.Problems, tt.problem}, "notices": {c.report.Notices, tt.notice}} {
			got.found = slices.DeleteFunc(got.found, func(n string) bool {
				return strings.HasPrefix(n, "no socket is named") || strings.Contains(n, "no such file")
			})
			if got.want == "" && len(got.found) > 0 || got.want != "" && (len(got.found) != 1 || !strings.Contains(got.found[0], got.want)) {
				t.Errorf("%q: %s %q, want %q", tt.line, what, got.found, got.want)
			}
		}
	}
}

// The rights are one thread's, and it has ended when they have been used.
func TestRightsOfOthersStayOnTheirThread(t *testing.T) {
	c := privilegedChecker(t, "add-gid = 4711")
	var uid, gid int
	var groups []int
	c.asWorker(func() {
		uid, gid = unix.Geteuid(), unix.Getegid()
		groups, _ = unix.Getgroups()
	})
	slices.Sort(groups)
	if uid != nobody || gid != nobody || !slices.Contains(groups, 4711) || slices.Contains(groups, 0) {
		t.Errorf("uid %d, gid %d, groups %v", uid, gid, groups)
	}
	for range 50 {
		done := make(chan int)
		go func() { done <- unix.Geteuid() }()
		if uid := <-done; uid != 0 {
			t.Fatalf("another goroutine is uid %d", uid)
		}
	}
}
