package hooks

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

// settings are those of hooks of one phase in a directory; waits give up soon.
func settings(dir string, actions ...string) Settings {
	const soon = 300 * time.Millisecond
	s := Settings{StartDir: dir, Dir: dir, FileTimeout: soon, SocketTimeout: soon, InterfaceTimeout: soon}
	for _, action := range actions {
		s.Hooks = append(s.Hooks, uwsgiopts.Hook{Phase: "start", Text: action})
	}
	return s
}

func TestWaitingForWhatIsThereAndWhatIsNot(t *testing.T) {
	dir := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for action, fine := range map[string]bool{
		"wait_for_fs:.": true, "wait_for_dir:.": true, "wait_for_file:.": false, "wait_for_fs:absent": false,
		"wait_for_mountpoint:/proc": true, "wait_for_mountpoint:.": false,
		"wait_for_socket:" + listener.Addr().String(): true, "wait_for_socket:" + dir + "/absent": false, "wait_for_socket:127.0.0.1:1": false,
		"wait_for_interface:lo": true, "wait_for_interface:absent0": false,
	} {
		err := New(&fakeHost{}).Run(context.Background(), settings(dir, action), "start")
		if (err == nil) != fine || err != nil && !strings.Contains(err.Error(), "is not a") {
			t.Errorf("%s: %v", action, err)
		}
	}
}

func TestAWaitEndsWhenItIsThere(t *testing.T) {
	dir := t.TempDir()
	s := settings(dir, "wait_for_file:late")
	s.FileTimeout = time.Minute
	done := make(chan error)
	go func() { done <- New(&fakeHost{}).Run(context.Background(), s, "start") }()
	if err := os.WriteFile(filepath.Join(dir, "late"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestALineIsWritten(t *testing.T) {
	dir := t.TempDir()
	if err := New(&fakeHost{}).Run(context.Background(), settings(dir, "file-write:out=a=b c"), "start"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(text) != "a=b c\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestMountsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for action, want := range map[string]string{
		"mount:tmpfs none": "is not TYPE SOURCE TARGET", "mount:tmpfs none . dance": `no flag "dance"`, "mount:tmpfs none absent": "no such file",
		"umount:absent": "umount absent", "umount:. dance": `no flag "dance"`, "file-write:name": "is not FILE=TEXT",
	} {
		if err := New(&fakeHost{}).Run(context.Background(), settings(dir, action), "start"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", action, err)
		}
	}
}

func TestAMountOutlivesAReload(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "a place")
	if err := os.Mkdir(target, 0o700); err != nil {
		t.Fatal(err)
	}
	s := settings(dir, "cd:a place", "mount:tmpfs none "+".", "create:kept")
	if os.Getuid() != 0 || New(&fakeHost{}).Run(context.Background(), s, "start") != nil {
		t.Skip("nothing can be mounted here")
	}
	defer func() {
		if err := New(&fakeHost{}).Run(context.Background(), settings(target, "umount:. detach"), "start"); err != nil || mounted(target) {
			t.Errorf("%v, mounted: %t", err, mounted(target))
		}
	}()
	if !mounted(target) {
		t.Error("nothing is mounted")
	}
	s = settings(target, "mount:tmpfs none "+".")
	s.Again = true
	if err := New(&fakeHost{}).Run(context.Background(), s, "start"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(target, "kept")); err != nil {
		t.Errorf("another one is on top: %v", err)
	}
}
