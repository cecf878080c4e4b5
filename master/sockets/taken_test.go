package sockets

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

func TestTaken(t *testing.T) {
	pid := os.Getpid()
	for _, c := range []struct {
		name  string
		make  func(t *testing.T, path string)
		taken bool
		pid   int
	}{
		{"nothing there", func(*testing.T, string) {}, false, 0},
		{"listens", func(t *testing.T, path string) { listen(t, path, unix.SOCK_STREAM, 5) }, true, pid},
		{"stale", func(t *testing.T, path string) { unix.Close(listen(t, path, unix.SOCK_STREAM, 5)) }, false, 0},
		{"bound only", func(t *testing.T, path string) { listen(t, path, unix.SOCK_STREAM, -1) }, false, 0},
		{"queue full", func(t *testing.T, path string) {
			listen(t, path, unix.SOCK_STREAM, 0)
			for Taken(path, unix.SOCK_STREAM) != nil {
				fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { unix.Close(fd) })
				if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); errors.Is(err, unix.EAGAIN) {
					return
				}
			}
		}, true, 0},
		{"datagrams", func(t *testing.T, path string) { listen(t, path, unix.SOCK_DGRAM, -1) }, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "u.sock")
			c.make(t, path)
			var taken *TakenError
			if err := Taken(path, unix.SOCK_STREAM); errors.As(err, &taken) != c.taken || c.taken && taken.PID != c.pid {
				t.Errorf("got %v, %+v", err, taken)
			}
		})
	}
}

// listen makes a unix socket; a backlog of -1: it only is bound.
func listen(t *testing.T, path string, kind, backlog int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if backlog >= 0 {
		if err := unix.Listen(fd, backlog); err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

func TestPipeTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := PipeTaken(path); err != nil {
		t.Errorf("nobody reads it: %v", err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := PipeTaken(path); err == nil {
		t.Error("somebody reads it")
	}
	if err := PipeTaken(path + ".no"); err != nil {
		t.Errorf("there is none: %v", err)
	}
}

func TestASocketThatSomebodyServesIsNotReplaced(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Protocol: "uwsgi", Address: "u.sock"})
	first, err := net.Listen("unix", filepath.Join(o.Dir, "u.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	var taken *TakenError
	if _, err := o.OpenAll(); !errors.As(err, &taken) || !strings.Contains(err.Error(), "u.sock") {
		t.Fatalf("got %v", err)
	}
	if connection, err := net.Dial("unix", first.Addr().String()); err != nil {
		t.Fatal(err)
	} else {
		connection.Close()
	}
	o.Config.UnixSocketTakeover = true
	o.mustOpen(t)
}

func TestAUnixSocketIsFoundByItsPath(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Protocol: "uwsgi", Address: "u.sock"})
	first := o.mustOpen(t)[0]
	whole := uwsgiopts.Socket{Protocol: "uwsgi", Address: filepath.Join(o.Dir, "u.sock")}
	o.Config.Sockets = []uwsgiopts.Socket{whole, {Protocol: "uwsgi", Address: "u.sock"}}
	again := o.mustOpen(t)
	if again[0].FD != first.FD || again[1].FD != first.FD || again[0].Key != whole.Address {
		t.Errorf("reload: %+v and %+v, was %+v", again[0], again[1], first)
	}
	o.Config.Sockets = o.Config.Sockets[1:]
	o.takeOver(t)
	if !o.Current[0].inherited || o.Current[0].Path != whole.Address {
		t.Errorf("upgrade: %+v", o.Current[0])
	}
	o.Config.Sockets = append(o.Config.Sockets, uwsgiopts.Socket{Protocol: "http", Address: whole.Address})
	if _, err := o.OpenAll(); err == nil {
		t.Error("one path for two protocols is no error")
	}
}

func TestASocketWhoseFileIsGoneIsMadeAgain(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Protocol: "uwsgi", Address: "u.sock"})
	first := o.mustOpen(t)
	Own(first, 7)
	if err := os.Remove(first[0].Path); err != nil {
		t.Fatal(err)
	}
	again := o.mustOpen(t)
	RetireUnused(first, again)
	connection, err := net.Dial("unix", first[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	connection.Close()
}
