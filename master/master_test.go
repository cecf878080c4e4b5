package master

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

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
		host, port, tcp := splitAddress(address)
		if host != want.host || port != want.port || tcp != want.tcp {
			t.Errorf("%s: %q %q %v, want %+v", address, host, port, tcp, want)
		}
	}
}

func TestMercyComesFromWhicheverOptionPeopleSet(t *testing.T) {
	for _, c := range []struct {
		worker, all, want time.Duration
	}{
		{defaultMercy, 0, defaultMercy},
		{5 * time.Second, 0, 5 * time.Second},
		{defaultMercy, 8 * time.Second, 8 * time.Second},
		{5 * time.Second, 8 * time.Second, 5 * time.Second},
		{0, 0, defaultMercy},
	} {
		if got := mercy(&uwsgiopts.Config{WorkerReloadMercy: c.worker, ReloadMercy: c.all}); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

func TestNamesOfProcesses(t *testing.T) {
	for _, c := range []struct {
		cfg            uwsgiopts.Config
		master, worker string
	}{
		{uwsgiopts.Config{}, "", ""},
		{uwsgiopts.Config{AutoProcname: true}, "uWSGI master", "uWSGI worker \x00"},
		{uwsgiopts.Config{AutoProcname: true, Procname: "100%d"}, "100%d", "100%d"},
		{uwsgiopts.Config{ProcnamePrefix: "shop ", ProcnameAppend: "!"}, "shop uWSGI master!", "shop uWSGI worker \x00!"},
		{uwsgiopts.Config{ProcnameMaster: "boss", ProcnamePrefix: "x"}, "boss", "xuWSGI worker \x00"},
	} {
		if m, w := masterName(&c.cfg), workerName(&c.cfg); m != c.master || w != c.worker {
			t.Errorf("%+v: %q and %q, want %q and %q", c.cfg, m, w, c.master, c.worker)
		}
	}
}

func TestThePythonOfTheVirtualenvIsTaken(t *testing.T) {
	home := t.TempDir()
	t.Setenv("VIRTUAL_ENV", "")
	cfg := &uwsgiopts.Config{StartDir: filepath.Dir(home), Home: filepath.Base(home)}
	if _, err := findPython(cfg); err == nil || !strings.Contains(err.Error(), "bin/python3") {
		t.Fatalf("an empty directory is taken for a virtualenv: %v", err)
	}
	python := filepath.Join(home, "bin", "python3")
	if err := os.Mkdir(filepath.Dir(python), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(python, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := findPython(cfg); err != nil || got != python {
		t.Fatalf("--home: %q, %v", got, err)
	}
	t.Setenv("VIRTUAL_ENV", home)
	if got, err := findPython(&uwsgiopts.Config{StartDir: "/"}); err != nil || got != python {
		t.Fatalf("VIRTUAL_ENV: %q, %v", got, err)
	}
	if _, err := findPython(&uwsgiopts.Config{StartDir: "/", Home: "/no/such"}); err == nil {
		t.Fatal("a missing home is taken")
	}
}

func TestTheZygoteInheritsNothingThatIsBetweenMasters(t *testing.T) {
	for _, name := range []string{daemonVariable, "TABLEFLIP_HAS_PARENT_7DIU3", "LISTEN_FDS", "DROPPED"} {
		t.Setenv(name, "1")
	}
	t.Setenv("KEPT", "1")
	g := &generation{number: 3, cfg: &uwsgiopts.Config{Env: []string{"ADDED=2", "DROPPED"}}}
	env := g.environment()
	for _, want := range []string{"KEPT=1", "ADDED=2", "UWSGI_RELOADS=3"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		if slices.Contains([]string{daemonVariable, "TABLEFLIP_HAS_PARENT_7DIU3", "LISTEN_FDS", "DROPPED"}, name) {
			t.Errorf("%s is there", pair)
		}
	}
}

func TestSocketsAreOpenedKeptAndLetGo(t *testing.T) {
	dir := t.TempDir()
	m := &master{upgrader: &upgrader{inherit: map[string]int{}}}
	cfg := &uwsgiopts.Config{StartDir: dir, Listen: 7, ChmodSocket: 0o660, Sockets: []uwsgiopts.Socket{
		{Protocol: "http", Address: "127.0.0.1:0"}, {Protocol: "uwsgi", Address: "u.sock"}}}
	var err error
	if m.sockets, err = m.openSockets(cfg); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "u.sock"))
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Fatalf("unix socket: %v, %v", info, err)
	}
	again, err := m.openSockets(cfg)
	if err != nil || again[0].fd != m.sockets[0].fd || again[1].fd != m.sockets[1].fd || again[0].port != m.sockets[0].port {
		t.Fatalf("sockets are not kept: %v", err)
	}
	closeUnused(m.sockets, again[:1])
	if _, err := unix.Getsockname(m.sockets[1].fd); err == nil {
		t.Fatal("a socket that nobody names is open")
	}
	if _, err := unix.Getsockname(again[0].fd); err != nil {
		t.Fatalf("a socket that is in use was closed: %v", err)
	}
}

func TestSocketsTakenOutOfTheConfigurationRefuseAtOnce(t *testing.T) {
	for key, refuses := range map[string]bool{"127.0.0.1:0": true, "fd://0": false, "systemd:0": false} {
		m := &master{upgrader: &upgrader{inherit: map[string]int{}}}
		opened, err := m.openSockets(&uwsgiopts.Config{Listen: 7, Sockets: []uwsgiopts.Socket{{Protocol: "http", Address: "127.0.0.1:0"}}})
		if err != nil {
			t.Fatal(err)
		}
		workers, err := unix.Dup(opened[0].fd) // a worker that is on its way out has it still
		if err != nil {
			t.Fatal(err)
		}
		opened[0].key = key
		retireUnused(opened, nil)
		connection, err := net.Dial("tcp", opened[0].name)
		if err == nil {
			connection.Close()
		}
		if refused := errors.Is(err, unix.ECONNREFUSED); refused != refuses {
			t.Errorf("%s: dialling gives %v", key, err)
		}
		unix.Close(workers)
	}
}

func TestSocketsPassFromOneMasterToTheNext(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	file, err := send([]*socket{{key: ":80", fd: pipe[0]}, {key: "u.sock", fd: pipe[1]}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	next := &upgrader{inherit: map[string]int{}}
	if err := next.receive(int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	reader, writer := next.inherited(":80"), next.inherited("u.sock")
	if reader < 0 || writer < 0 || next.inherited(":80") >= 0 {
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
