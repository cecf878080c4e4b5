package sockets

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// opener opens what is named in a directory of its own.
func opener(t *testing.T, wanted ...uwsgiopts.Socket) *Opener {
	t.Helper()
	o := &Opener{
		Config: &uwsgiopts.Config{Listen: 7, ChmodSocket: -1, Sockets: wanted}, Dir: t.TempDir(), Logf: t.Logf,
	}
	t.Cleanup(func() { CloseUnused(o.Current, nil) })
	return o
}

// mustOpen opens everything and makes it the current sockets.
func (o *Opener) mustOpen(t *testing.T) []*Socket {
	t.Helper()
	opened, err := o.OpenAll()
	if err != nil {
		t.Fatal(err)
	}
	o.Current = opened
	return opened
}

func TestAddressesAreToldFromPaths(t *testing.T) {
	for address, want := range map[string]struct {
		host, port string
		tcp        bool
	}{
		"127.0.0.1:80":  {"127.0.0.1", "80", true},
		":8080":         {"", "8080", true},
		"[::1]:80":      {"::1", "80", true},
		"localhost:0":   {"localhost", "0", true},
		"/run/u.sock":   {"", "", false},
		"rel.sock":      {"", "", false},
		"@name":         {"", "", false},
		"/run/odd:80":   {"", "", false},
		"host:notaport": {"host", "notaport", true},
		"host:99999":    {"host", "99999", true},
	} {
		host, port, tcp := SplitAddress(address)
		if host != want.host || port != want.port || tcp != want.tcp {
			t.Errorf("%s: %q %q %v, want %+v", address, host, port, tcp, want)
		}
	}
}

func TestSocketsAreOpenedKeptAndLetGo(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Protocol: "http", Address: "127.0.0.1:0"}, uwsgiopts.Socket{Protocol: "uwsgi", Address: "u.sock"})
	o.Config.ChmodSocket = 0o660
	first := o.mustOpen(t)
	info, err := os.Stat(filepath.Join(o.Dir, "u.sock"))
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Fatalf("unix socket: %v, %v", info, err)
	}
	again := o.mustOpen(t)
	if again[0].FD != first[0].FD || again[1].FD != first[1].FD || again[0].Port != first[0].Port {
		t.Fatal("sockets are not kept")
	}
	o.Current = again[:1]
	CloseUnused(first, o.Current)
	if _, err := unix.Getsockname(first[1].FD); err == nil {
		t.Fatal("a socket that nobody names is open")
	}
	if _, err := unix.Getsockname(again[0].FD); err != nil {
		t.Fatalf("a socket that is in use was closed: %v", err)
	}
}

func TestSocketsAreDescribed(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Protocol: "http", Address: "=0"}, uwsgiopts.Socket{Protocol: "http", Address: ":0"}, uwsgiopts.Socket{Protocol: "uwsgi", Address: "u.sock"})
	o.Config.SharedSockets, o.Config.Stats = []string{"127.0.0.1:0"}, []string{"@sockets-test-stats"}
	opened := o.mustOpen(t)
	var served []bool
	for _, s := range opened {
		served = append(served, s.ForWorkers())
	}
	if want := []bool{false, true, true, true, false}; !slices.Equal(served, want) {
		t.Fatalf("workers serve %v, want %v", served, want)
	}
	shared, mapped, any, file, stats := opened[0], opened[1], opened[2], opened[3], opened[4]
	if !mapped.Mapped() || mapped.FD != shared.FD || mapped.Name != shared.Name || mapped.Unix() {
		t.Errorf("mapped: %+v", mapped)
	}
	if any.Name != ":"+any.Port || any.Port == "0" || any.Unix() {
		t.Errorf("any port: %+v", any)
	}
	if file.Name != "u.sock" || file.Path != filepath.Join(o.Dir, "u.sock") || !file.Unix() || file.Given() {
		t.Errorf("unix: %+v", file)
	}
	if stats.Path != "" || !stats.Unix() {
		t.Errorf("abstract: %+v", stats)
	}
}

func TestAnErrorLeavesNothingOpen(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Protocol: "http", Address: "u.sock"}, uwsgiopts.Socket{Protocol: "http", Address: "no/such/u.sock"})
	if _, err := o.OpenAll(); !errors.Is(err, unix.ENOENT) {
		t.Fatalf("a directory is missing, and the error is %v", err)
	}
	if connection, err := net.Dial("unix", filepath.Join(o.Dir, "u.sock")); err == nil {
		connection.Close()
		t.Error("the first socket is open still")
	}
	o.Config.Sockets, o.Config.ChownSocket = o.Config.Sockets[:1], "nobody-of-this-name"
	if _, err := o.OpenAll(); err == nil {
		t.Error("a user that is unknown is no error")
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	o.Config.Sockets = nil
	if _, err := o.OpenAll(); err == nil {
		t.Error("nothing to listen on is no error")
	}
}

func TestSocketsTakenOutOfTheConfigurationRefuseAtOnce(t *testing.T) {
	for key, refuses := range map[string]bool{"127.0.0.1:0": true, "fd://0": false, "systemd:0": false} {
		opened, err := opener(t, uwsgiopts.Socket{Protocol: "http", Address: "127.0.0.1:0"}).OpenAll()
		if err != nil {
			t.Fatal(err)
		}
		workers, err := unix.Dup(opened[0].FD) // a worker that is on its way out has it still
		if err != nil {
			t.Fatal(err)
		}
		opened[0].Key = key
		if opened[0].Given() {
			Disown(opened)
		}
		RetireUnused(opened, nil)
		connection, err := net.Dial("tcp", opened[0].Name)
		if err == nil {
			connection.Close()
		}
		if refused := errors.Is(err, unix.ECONNREFUSED); refused != refuses {
			t.Errorf("%s: dialling gives %v", key, err)
		}
		unix.Close(workers)
	}
}

func TestOnlyTheOwnerRemovesAFileOrShutsASocketDown(t *testing.T) {
	path := func(o *Opener) string { return filepath.Join(o.Dir, "u.sock") }
	for _, c := range []struct {
		name    string
		do      func(t *testing.T, o *Opener)
		removed bool // by RemoveFile and CloseUnused
		refuses bool // after Refuse
	}{
		{"never served", func(*testing.T, *Opener) {}, true, true},
		{"serves", func(_ *testing.T, o *Opener) { Own(o.Current, 7) }, true, true},
		{"kept by a reload", func(t *testing.T, o *Opener) { Own(o.Current, 7); o.mustOpen(t) }, true, true},
		{"left to the next master", func(_ *testing.T, o *Opener) { Own(o.Current, 7); Disown(o.Current) }, false, false},
		{"not yet taken over", func(t *testing.T, o *Opener) { o.takeOver(t) }, false, false},
		{"taken over", func(t *testing.T, o *Opener) { o.takeOver(t); Own(o.Current, 7) }, true, true},
		{"given", func(_ *testing.T, o *Opener) { o.Current[0].Key = "fd://9"; Disown(o.Current); Own(o.Current, 7) }, false, false},
		{"attached", func(_ *testing.T, o *Opener) { o.Current[0].Key = "zerg:z#0"; Disown(o.Current); Own(o.Current, 7) }, false, false},
		{"replaced by another file", func(t *testing.T, o *Opener) {
			if err := errors.Join(os.Remove(path(o)), os.WriteFile(path(o), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, false, true},
		{"replaced before the upgrade", func(t *testing.T, o *Opener) {
			if err := os.Rename(path(o), path(o)+".1"); err != nil {
				t.Fatal(err)
			}
			if _, err := net.Listen("unix", path(o)); err != nil {
				t.Fatal(err)
			}
			o.takeOver(t)
			Own(o.Current, 7)
		}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := opener(t, uwsgiopts.Socket{Protocol: "uwsgi", Address: "u.sock"})
			o.mustOpen(t)
			c.do(t, o)
			kept, err := unix.Dup(o.Current[0].FD)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(kept)
			Refuse(o.Current)
			unix.Close(o.Current[0].FD)
			o.Current[0].FD = -1
			if removed := o.Current[0].RemoveFile(); removed != c.removed {
				t.Errorf("removed: %v", removed)
			}
			if _, err := os.Lstat(path(o)); errors.Is(err, os.ErrNotExist) != c.removed {
				t.Errorf("the file: %v", err)
			}
			state := []unix.PollFd{{Fd: int32(kept), Events: unix.POLLRDHUP}}
			if n, err := unix.Poll(state, 0); (n == 1) != c.refuses {
				t.Errorf("shut down: %d, %v", n, err)
			}
		})
	}
}

// takeOver makes the opener one of the next master, which inherits everything.
func (o *Opener) takeOver(t *testing.T) {
	t.Helper()
	o.Inheritance = handOver(t, o.Current, nil)
	for _, s := range o.Current {
		unix.Close(s.FD)
	}
	o.Current = nil
	o.mustOpen(t)
}

func TestWhatNeverServedLeavesNoFile(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Protocol: "uwsgi", Address: "old.sock"})
	Own(o.mustOpen(t), 7)
	o.Config.Sockets = append(o.Config.Sockets, uwsgiopts.Socket{Protocol: "uwsgi", Address: "new.sock"})
	opened, err := o.OpenAll()
	if err != nil {
		t.Fatal(err)
	}
	CloseUnused(opened, o.Current)
	for name, there := range map[string]bool{"old.sock": true, "new.sock": false} {
		if _, err := os.Lstat(filepath.Join(o.Dir, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
	CloseUnused(o.Current, nil)
	o.Current = nil
	if _, err := os.Lstat(filepath.Join(o.Dir, "old.sock")); err != nil {
		t.Errorf("a socket that has served: %v", err)
	}
}

func TestWhatTheNextConfigurationDoesNotNameIsTheNextMastersToRemove(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Protocol: "uwsgi", Address: "kept.sock"}, uwsgiopts.Socket{Protocol: "uwsgi", Address: "dropped.sock"})
	Own(o.mustOpen(t), 7)
	o.Config.Sockets = o.Config.Sockets[:1]
	o.takeOver(t)
	dropped := o.Inheritance.Close()
	if len(dropped) != 1 || dropped[0].Path != filepath.Join(o.Dir, "dropped.sock") || !dropped[0].RemoveFile() {
		t.Errorf("dropped: %+v", dropped)
	}
}
