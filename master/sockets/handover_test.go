package sockets

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// handOver is what the next master receives.
func handOver(t *testing.T, list []*Socket, more map[string]int) *Inheritance {
	t.Helper()
	h, err := NewHandover()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Send(list, more); err != nil {
		t.Fatal(err)
	}
	next := &Inheritance{}
	if err := next.Receive(h.Far()); err != nil {
		t.Fatal(err)
	}
	return next
}

func TestSocketsPassFromOneMasterToTheNext(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	next := handOver(t, []*Socket{{Key: ":80", FD: pipe[0]}}, map[string]int{"more": pipe[1]})
	reader, writer := next.Take(":80"), next.Take("more")
	if reader < 0 || writer < 0 || next.Take(":80") >= 0 {
		t.Fatalf("descriptors %d and %d", reader, writer)
	}
	if _, err := unix.Write(writer, []byte("x")); err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if n, err := unix.Read(reader, b[:]); n != 1 || err != nil {
		t.Fatalf("they are not connected: %d, %v", n, err)
	}
}

func TestWhatNobodyReceivesIsClosed(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	h, err := NewHandover()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Send([]*Socket{{Key: "u.sock", Path: "/u.sock", FD: int(writer.Fd())}}, nil); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	h.TakeBack()
	var b [1]byte
	if n, err := reader.Read(b[:]); n != 0 || err == nil {
		t.Errorf("somebody has the writing end still: %d, %v", n, err)
	}
	var next Inheritance
	if err := next.Receive(h.Far()); err != nil || len(next.fds) != 0 {
		t.Errorf("received all the same: %v, %v", next.fds, err)
	}
}

func TestSocketsOfSystemdPassOn(t *testing.T) {
	o := opener(t, uwsgiopts.Socket{Protocol: "http", Address: "127.0.0.1:0"}, uwsgiopts.Socket{Protocol: "http", Address: "127.0.0.1:0"},
		uwsgiopts.Socket{Protocol: "uwsgi", Address: "u.sock"})
	opened := o.mustOpen(t)
	Disown(opened)
	opened[0].Key, opened[1].Key, opened[2].Key = "systemd:10", "systemd:2", "systemd:3"
	named := opened[0].Name
	o.Config.Sockets = []uwsgiopts.Socket{{Protocol: "http", Address: named}, {Protocol: "http", Address: "u.sock"}}
	check := func(what string) {
		t.Helper()
		byKey := map[string]*Socket{}
		for _, s := range o.Current {
			byKey[s.Key] = s
		}
		tcp, rest, local := byKey["systemd:10"], byKey["systemd:2"], byKey["systemd:3"]
		if len(o.Current) != 3 || tcp == nil || rest == nil || local == nil {
			t.Fatalf("%s: %v", what, byKey)
		}
		if tcp.Protocol != "http" || tcp.Name != named || rest.Protocol != "uwsgi" || local.Protocol != "http" {
			t.Errorf("%s: %+v, %+v, %+v", what, tcp, rest, local)
		}
		Own(o.Current, 7)
		if local.RemoveFile() {
			t.Errorf("%s: the file is removed", what)
		}
	}
	o.takeOver(t)
	check("an upgrade")
	o.mustOpen(t)
	check("a reload")
}
