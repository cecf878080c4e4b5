package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/routerspec"
	"envoxyd/internal/stream"
	"envoxyd/router/nodes"
)

// listen has something listen; nobody accepts, the kernel does.
func listen(t *testing.T, network, address string) (string, net.Listener) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), l
}

// dead is an address at which nobody listens.
func dead(t *testing.T) string {
	t.Helper()
	address, l := listen(t, "tcp", "127.0.0.1:0")
	l.Close()
	return address
}

func upstreams(spec routerspec.Routing) (*Upstreams, *strings.Builder) {
	var log strings.Builder
	if spec.TimeoutMillis == 0 {
		spec.TimeoutMillis, spec.ConnectMillis, spec.GraceMillis, spec.ToleranceMillis = 2000, 2000, 30000, 17000
	}
	return New("http", spec, func(format string, args ...any) { fmt.Fprintf(&log, format+"\n", args...) }), &log
}

func TestAnotherNodeIsTried(t *testing.T) {
	alive, _ := listen(t, "tcp", "127.0.0.1:0")
	gone := dead(t)
	up, log := upstreams(routerspec.Routing{To: []string{gone, alive}, MaxRetries: 3})
	for range 3 {
		got, err := up.Attempt("key", "").Next(true)
		if err != nil || got.Address != alive {
			t.Fatalf("%+v, %v", got, err)
		}
		got.Close()
	}
	want := "[uwsgi-http] unable to connect() to node \"" + gone + "\" (0 retries): connection refused\n[uwsgi-http] key => marking " + gone + " as failed\n"
	if log.String() != want {
		t.Errorf("log: %q, want %q", log.String(), want)
	}
}

func TestWhyNoNodeTakesARequest(t *testing.T) {
	gone := dead(t)
	full := filepath.Join(t.TempDir(), "full")
	for _, c := range []struct {
		name string
		spec routerspec.Routing
		want error
		said int // lines about nodes that cannot be reached
	}{
		{"nothing is known", routerspec.Routing{}, ErrNoNode, 0},
		{"all have gone", routerspec.Routing{To: []string{gone, full, full + "2"}, MaxRetries: 1}, ErrUnreachable, 2},
		{"the fallback too", routerspec.Routing{To: []string{gone}, Fallback: []string{full}, MaxRetries: 3}, ErrUnreachable, 2},
		{"fallbacks are for failures", routerspec.Routing{Fallback: []string{gone}, MaxRetries: 3}, ErrNoNode, 0},
		{"unless they are for all", routerspec.Routing{Fallback: []string{gone}, FallbackOnNoKey: true, MaxRetries: 3}, ErrUnreachable, 1},
	} {
		up, log := upstreams(c.spec)
		if _, err := up.Attempt("key", "").Next(true); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if said := strings.Count(log.String(), "unable to connect"); said != c.said {
			t.Errorf("%s: %q", c.name, log.String())
		}
	}
}

func TestFallbacksTakeTurns(t *testing.T) {
	one, _ := listen(t, "tcp", "127.0.0.1:0")
	two, _ := listen(t, "tcp", "127.0.0.1:0")
	up, _ := upstreams(routerspec.Routing{Fallback: []string{one, two}, FallbackOnNoKey: true})
	var got []string
	for range 4 {
		u, err := up.Attempt("", "").Next(true)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, u.Address)
		u.Close()
	}
	if want := strings.Join([]string{one, two, one, two}, " "); strings.Join(got, " ") != want {
		t.Errorf("%v", got)
	}
}

// A key is what a client says: it must not lead out of the directory.
func TestAddressesAreMadeOfKeys(t *testing.T) {
	for _, c := range []struct{ pattern, base, key, want string }{
		{"", "/base", "example.com", "/base/example.com"},
		{"", "/base/", "example.com", "/base/example.com"},
		{"/a/%s/uwsgi.sock", "", "k", "/a/k/uwsgi.sock"},
		{"%s:8000", "", "host", "host:8000"},
		{"/a/%s", "/base", "k", "/a/k"},
		{"", "/base", "", ""},
		{"", "/base", "..", ""},
		{"", "/base", ".hidden", ""},
		{"", "/base", "a/../../etc", ""},
		{"/a/%s", "", "a/b", ""},
		{"/a/%s", "", "a\x00b", ""},
	} {
		up, _ := upstreams(routerspec.Routing{Pattern: c.pattern, Base: c.base})
		if got := up.Attempt(c.key, "").deriveAddress(); got != c.want {
			t.Errorf("%q %q with %q: %q, want %q", c.pattern, c.base, c.key, got, c.want)
		}
	}
}

func TestAKeyMayBeForced(t *testing.T) {
	address, _ := listen(t, "tcp", "127.0.0.1:0")
	up, _ := upstreams(routerspec.Routing{ForceKey: "forced"})
	if _, err := up.Table.Announce(nodes.Announcement{Key: "forced", Address: address}); err != nil {
		t.Fatal(err)
	}
	got, err := up.Attempt("whatever", "").Next(true)
	if err != nil {
		t.Fatal(err)
	}
	got.Close()
}

func TestKeptConnectionsAreUsedWhileTheyCanBe(t *testing.T) {
	address, l := listen(t, "tcp", "127.0.0.1:0")
	up, _ := upstreams(routerspec.Routing{To: []string{address}, MaxRetries: 3})
	first, err := up.Attempt("", "").Next(false)
	if err != nil || first.Reused {
		t.Fatalf("%+v, %v", first, err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn := first.Conn
	first.Keep()
	if fresh, err := up.Attempt("", "").Next(true); err != nil || fresh.Reused {
		t.Errorf("a fresh one was wanted: %+v, %v", fresh, err)
	} else {
		fresh.Close()
	}
	again, err := up.Attempt("", "").Next(false)
	if err != nil || !again.Reused || again.Conn != conn {
		t.Fatalf("%+v, %v", again, err)
	}
	server.Close()
	if err := again.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	again.Keep()
	attempt := up.Attempt("", "")
	last, err := attempt.Next(false)
	if err != nil || last.Reused {
		t.Fatalf("one that has ended was used: %+v, %v", last, err)
	}
	attempt.Again(last)
	if same, err := attempt.Next(false); err != nil || same.Reused || same.Address != address {
		t.Errorf("the same node again: %+v, %v", same, err)
	} else {
		same.Keep()
	}
	up.Sweep(time.Now().Add(KeptTime))
	if got := up.kept.take(address); got != nil {
		t.Error("one that has waited for too long is there")
	}
	last.Keep()
	up.CloseKept()
	if got := up.kept.take(address); got != nil {
		t.Error("one is left")
	}
}

func TestBodiesAreKeptInMemoryAndThenInAFile(t *testing.T) {
	dir := t.TempDir()
	spool := NewSpool(&routerspec.Routing{BufferDir: dir, FilesLimit: 1 << 20})
	for _, size := range []int{0, 1, spoolMemory, spoolMemory + 1, 500_000} {
		k := spool.Keep()
		body := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		for rest := body; len(rest) > 0; {
			n := min(len(rest), 30_000)
			if _, err := k.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		for range 2 {
			if got, err := io.ReadAll(k.Reader()); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes: %d, %v", size, len(got), err)
			}
		}
		if (k.file != nil) != (size > spoolMemory) {
			t.Errorf("%d bytes: a file: %v", size, k.file != nil)
		}
		k.Close()
		k.Close()
	}
	if spool.used != 0 {
		t.Errorf("%d bytes are counted though nothing is kept", spool.used)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	spool := NewSpool(&routerspec.Routing{BufferDir: t.TempDir(), FilesLimit: 200_000, LimitPost: 150_000})
	k := spool.Keep()
	if _, err := k.Write(make([]byte, 150_001)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one over its limit: %v", err)
	}
	if _, err := k.Write(make([]byte, 150_000)); err != nil {
		t.Fatal(err)
	}
	other := spool.Keep()
	if _, err := other.Write(make([]byte, 100_000)); !errors.Is(err, ErrNoRoom) {
		t.Errorf("all over their limit: %v", err)
	}
	other.Close()
	k.Close()
	if spool.used != 0 {
		t.Errorf("%d bytes are counted", spool.used)
	}
	away := NewSpool(&routerspec.Routing{BufferDir: "/nonexistent"}).Keep()
	if _, err := away.Write(make([]byte, spoolMemory+1)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its directory: %v", err)
	}
}

// pair is two ends of a connection.
func pair(t *testing.T) (near, far *stream.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if near, err = stream.New(fds[0]); err != nil {
		t.Fatal(err)
	}
	if far, err = stream.New(fds[1]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestATunnelEndsWithTheNode(t *testing.T) {
	client, inner := pair(t)
	outer, node := pair(t)
	type count struct{ received, sent int64 }
	done := make(chan count, 1)
	go func() {
		received, sent := Tunnel(inner, outer, 10*time.Second)
		inner.Close()
		done <- count{received, sent}
	}()
	if _, err := client.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	client.CloseWrite()
	if got, err := io.ReadAll(node); err != nil || string(got) != "question" {
		t.Fatalf("the node got %q, %v", got, err)
	}
	if _, err := node.Write([]byte("the answer")); err != nil {
		t.Fatal(err)
	}
	node.Close()
	if got, err := io.ReadAll(client); err != nil || string(got) != "the answer" {
		t.Fatalf("the client got %q, %v", got, err)
	}
	if got := <-done; got != (count{8, 10}) {
		t.Errorf("%+v bytes", got)
	}
}

func TestATunnelInWhichNothingMovesEnds(t *testing.T) {
	_, inner := pair(t)
	outer, _ := pair(t)
	begun := time.Now()
	Tunnel(inner, outer, 50*time.Millisecond)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
