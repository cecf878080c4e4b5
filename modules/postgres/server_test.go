package postgres

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"envoxyd/modules/postgres/problem"
	"envoxyd/modules/postgres/types"
	"envoxyd/protocol/marshal"
)

// private is a PostgreSQL of the test's own.
type private struct {
	t       testing.TB
	bin     string
	dir     string
	port    int
	process *exec.Cmd
}

// startPrivate starts one, or skips the test where there is none to start.
func startPrivate(t testing.TB) *private {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(bins) == 0 {
		t.Skip("PostgreSQL is not installed (Debian: postgresql)")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &private{t: t, bin: filepath.Dir(bins[len(bins)-1]), port: listener.Addr().(*net.TCPAddr).Port}
	listener.Close()
	if p.dir, err = os.MkdirTemp("", "envoxyd-pg-"); err != nil { // t.TempDir's parents are closed to another user
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(p.dir) })
	data := filepath.Join(p.dir, "data")
	for _, err := range []error{os.Chmod(p.dir, 0o755), os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(p.dir, "pw"), []byte("s3cret"), 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		if out, err := exec.Command("chown", "postgres", data).CombinedOutput(); err != nil {
			t.Skipf("PostgreSQL cannot be started as root: %s", out)
		}
	}
	if out, err := p.command("initdb", "-D", data, "-U", "shop", "-A", "scram-sha-256", "--pwfile", filepath.Join(p.dir, "pw"), "-N", "-E", "UTF8", "--locale", "C").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p.start()
	t.Cleanup(p.stop)
	return p
}

func (p *private) command(name string, args ...string) *exec.Cmd {
	argv := append([]string{filepath.Join(p.bin, name)}, args...)
	if os.Geteuid() == 0 {
		argv = append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"}, argv...)
	}
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir = p.dir
	return command
}

func (p *private) start() {
	p.t.Helper()
	data := filepath.Join(p.dir, "data")
	p.process = p.command("postgres", "-D", data, "-p", strconv.Itoa(p.port), "-h", "127.0.0.1", "-k", data, "-F", "-c", "shared_buffers=4MB", "-c", "timezone=UTC")
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.process.Stdout, p.process.Stderr = log, log
	if err := p.process.Start(); err != nil {
		p.t.Fatal(err)
	}
	s := New()
	defer s.Close()
	p.open(s, nil)
	limit := time.Now().Add(30 * time.Second)
	for {
		_, err := ask(s, "select 1")
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			p.t.Fatalf("PostgreSQL does not answer: %v\n%s", err, text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *private) stop() {
	if p.process != nil {
		_ = p.process.Process.Signal(syscall.SIGINT) // fast shutdown: sessions are ended
		_ = p.process.Wait()
		p.process = nil
	}
}

// open makes the server known as "main", with more of a section than how to reach it.
func (p *private) open(s *Service, more map[string]any) {
	p.t.Helper()
	section := map[string]any{"host": "127.0.0.1", "port": p.port, "db": "postgres", "user": "shop", "passwd": "s3cret"}
	for key, value := range more {
		section[key] = value
	}
	document, err := json.Marshal(section)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := s.open("main", document); err != nil {
		p.t.Fatal(err)
	}
}

// ask runs a statement with positional parameters outside a transaction; the reply as bytes of the test's own.
func ask(s *Service, sql string, params ...any) (string, error) { return askIn(s, 0, sql, params...) }

func askIn(s *Service, transaction int64, sql string, params ...any) (string, error) {
	if params == nil {
		params = []any{}
	}
	e := new(types.Encoder)
	reply, place, err := s.query(context.Background(), e, "main", transaction, sql, params)
	if err != nil {
		return "", problem.Of(err, place)
	}
	return string(reply), nil
}

// oneText is the reply that one row of texts makes.
func oneText(name, value string) string {
	out := marshal.AppendList(marshal.AppendTuple(nil, 2), 1)
	out = marshal.EndDict(marshal.AppendText(marshal.AppendKey(marshal.AppendDict(out), name), value))
	return string(marshal.AppendTuple(out, 0))
}

func mustBeText(t *testing.T, s *Service, want, sql string, params ...any) {
	t.Helper()
	got, err := ask(s, "select ("+sql+")::text as v", params...)
	if err != nil || got != oneText("v", want) {
		t.Errorf("%s: %q, %v; want %s", sql, got, err, want)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(limit) {
			t.Fatal("never: " + what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
