package master

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
	"envoxyd/master/process"
	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

// testGeneration is a generation without processes.
func testGeneration(t *testing.T, processes, threads int) *generation {
	t.Helper()
	board, err := shm.NewBoard(processes, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { board.Close() })
	g := &generation{m: &master{cfg: &uwsgiopts.Config{}, events: make(chan event), sys: system{now: time.Now}}, cfg: &uwsgiopts.Config{}, board: board}
	for id := 1; id <= processes; id++ {
		g.workers = append(g.workers, newWorker(id, false))
	}
	g.m.current = g
	g.m.newDaemons()
	return g
}

func TestStatisticsOfAWorker(t *testing.T) {
	began := time.Now().Add(-time.Hour)
	tests := []struct {
		name    string
		prepare func(g *generation, w *worker)
		check   func(s statsWorker) bool
	}{
		{"no process", func(*generation, *worker) {}, func(s statsWorker) bool {
			return s.Status == "cheap" && s.PID == 0 && s.Accepting == 0 && s.RespawnCount == 0 && len(s.Cores) == 2
		}},
		{"idle", func(_ *generation, w *worker) { occupy(w, process.Ready, 7) }, func(s statsWorker) bool {
			return s.Status == "idle" && s.PID == 7 && s.Accepting == 1 && s.RespawnCount == 1
		}},
		{"busy", func(g *generation, w *worker) {
			occupy(w, process.Ready, 7)
			core := g.board.Core(w.ID, 1)
			core.SetRequest([]byte("10.0.0.1"), []byte("GET"), []byte("/a?b=c"))
			core.Since.Store(monotime.At(began))
			core.State.Store(shm.Busy)
		}, func(s statsWorker) bool {
			core := s.Cores[1]
			want := []string{"REQUEST_METHOD=GET", "PATH_INFO=/a", "REQUEST_URI=/a?b=c", "QUERY_STRING=b=c", "REMOTE_ADDR=10.0.0.1", ""}
			return s.Status == "busy" && core.InRequest == 1 && sameSecond(core.ReqInfo["request_start"], began) && s.Apps[0].Requests == 1 &&
				slices.Equal(core.Vars, want) && s.Cores[0].InRequest == 0
		}},
		{"respawned", func(g *generation, w *worker) {
			g.board.Core(w.ID, 0).Requests.Store(5)
			w.servedBefore = g.requests(w)
			g.board.Core(w.ID, 1).Requests.Store(2)
			g.board.Core(w.ID, 1).Micros.Store(700)
			occupy(w, process.Ready, 7)
			w.Ended(7, time.Now())
			occupy(w, process.Starting, 8)
		}, func(s statsWorker) bool {
			return s.Requests == 7 && s.DeltaRequests == 2 && s.RespawnCount == 2 && s.AvgRT == 100 && s.Accepting == 0
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := testGeneration(t, 1, 2)
			test.prepare(g, g.workers[0])
			if s := g.statistics(g.workers[0]); !test.check(s) {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// sameSecond allows for the moment that turning one clock's reading into the other's takes.
func sameSecond(seconds int64, want time.Time) bool {
	return seconds >= want.Unix()-1 && seconds <= want.Unix()+1
}

func TestStatsServer(t *testing.T) {
	for _, form := range []statsForm{{}, {minified: true}, {http: true}} {
		g := testGeneration(t, 1, 1)
		m := g.m
		path := filepath.Join(t.TempDir(), "stats")
		opener := sockets.Opener{Config: &uwsgiopts.Config{Listen: 5, ChmodSocket: -1, Sockets: []uwsgiopts.Socket{{Address: path}}}, Logf: t.Logf}
		opened, err := opener.OpenAll()
		if err != nil {
			t.Fatal(err)
		}
		server, err := newStatsServer(opened[0], form, m.events)
		if err != nil {
			t.Fatal(err)
		}
		owner := make(chan struct{})
		go func() {
			defer close(owner)
			(<-m.events)(m)
		}()
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if form.http {
			_, _ = conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		}
		text, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		<-owner
		conn.Close()
		if form.http != strings.HasPrefix(string(text), statsHead) {
			t.Errorf("%+v: begins with %.20q", form, text)
		}
		text = bytes.TrimPrefix(text, []byte(statsHead))
		if form.minified != !bytes.ContainsAny(bytes.TrimSpace(text), "\n\t") {
			t.Errorf("%+v: %.40q", form, text)
		}
		var document statsDocument
		if err := json.Unmarshal(text, &document); err != nil || len(document.Workers) != 1 || document.PID == 0 {
			t.Errorf("%+v: %v, %+v", form, err, document)
		}
		silent, err := net.Dial("unix", path) // nobody answers any more: close must not wait for it
		if err != nil {
			t.Fatal(err)
		}
		server.close()
		silent.Close()
		_ = unix.Close(opened[0].FD)
	}
}
