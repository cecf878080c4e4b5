package router

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/internal/routerspec"
	"envoxyd/protocol/subscription"
	"envoxyd/router/nodes"
)

// newTestProcess is a router that listens nowhere and whose words to the master are in the returned socket.
func newTestProcess(t *testing.T, spec routerspec.Spec) (*process, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	spec.Kind, spec.ControlFD = routerspec.KindFast, fds[0]
	spec.Routing.ToleranceMillis = 17000
	p, err := newProcess(&spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.cancel)
	return p, fds[1]
}

// told are the events that the master has got.
func told(t *testing.T, fd int) (kinds string) {
	t.Helper()
	buffer := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buffer)
		if errors.Is(err, unix.EAGAIN) {
			return strings.TrimSpace(kinds)
		}
		var e routerspec.Event
		if err != nil || json.Unmarshal(buffer[:n], &e) != nil {
			t.Fatalf("%q, %v", buffer[:max(n, 0)], err)
		}
		kinds += e.Kind + " "
	}
}

func addresses(p *process) (list []string) {
	for _, a := range p.up.Table.Announced() {
		list = append(list, a.Address)
	}
	return list
}

func TestTheMasterHearsOfWhatIsNew(t *testing.T) {
	for _, c := range []struct {
		siblings bool
		want     string
	}{{false, "announce announce withdraw"}, {true, "announce announce announce withdraw"}} {
		p, master := newTestProcess(t, routerspec.Spec{Siblings: c.siblings})
		for _, packet := range []subscription.Packet{
			{Key: "k", Address: "a:1"}, {Key: "k", Address: "a:1"}, {Key: "k", Address: "a:1", Weight: 3},
			{Key: "k", Address: "a:1", Leave: true}, {Key: "k", Address: "a:1", Leave: true},
		} {
			p.take(packet.Append(nil), sender{})
		}
		if got := told(t, master); got != c.want {
			t.Errorf("siblings %v: %s", c.siblings, got)
		}
	}
}

func TestAnAddressWithoutAHostIsThatOfItsSender(t *testing.T) {
	p, _ := newTestProcess(t, routerspec.Spec{})
	for _, from := range []unix.Sockaddr{&unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}}, &unix.SockaddrInet6{Addr: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}}, &unix.SockaddrUnix{}} {
		packet := subscription.Packet{Key: "k", Address: ":3031"}
		p.take(packet.Append(nil), senderOf(from, nil))
	}
	if got := strings.Join(addresses(p), " "); got != "192.0.2.1:3031 :3031 [2001:db8::1]:3031" {
		t.Error(got)
	}
}

func TestNodesThatWereKnownAreKnown(t *testing.T) {
	text, err := json.Marshal(nodes.Announcement{Key: "k", Address: "a:1", Weight: 2})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := newTestProcess(t, routerspec.Spec{Known: []json.RawMessage{text, json.RawMessage(`"nonsense"`)}})
	if got := addresses(p); len(got) != 1 || got[0] != "a:1" {
		t.Errorf("%v", got)
	}
	p.relayed(routerspec.Order{Kind: routerspec.Withdraw, Node: text})
	if got := addresses(p); len(got) != 0 {
		t.Errorf("after it has left: %v", got)
	}
}

func TestWhoMayAnnounceAKey(t *testing.T) {
	dir := t.TempDir()
	for name, uid := range map[string]int{"mine": os.Getuid(), "foreign": 12345} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if uid != os.Getuid() && os.Chown(filepath.Join(dir, name), uid, uid) != nil {
			t.Skip("only root may change owners")
		}
	}
	me := sender{local: true, Ucred: unix.Ucred{Pid: 1, Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}}
	p, _ := newTestProcess(t, routerspec.Spec{CredentialDirs: []string{dir}})
	for _, c := range []struct {
		key  string
		from sender
		want error
	}{
		{"mine", me, nil},
		{"foreign", me, errCredentials},
		{"absent", me, errCredentials},
		{"../" + filepath.Base(dir) + "/mine", me, errCredentials},
		{"mine", sender{}, errCredentials}, // over UDP
		{"mine", senderOf(&unix.SockaddrUnix{}, nil), errCredentials},
	} {
		if err := p.permit(&subscription.Packet{Key: c.key, Address: "a"}, c.from); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.key, err, c.want)
		}
	}
	p, _ = newTestProcess(t, routerspec.Spec{VassalNeeded: true})
	if err := p.permit(&subscription.Packet{Key: "k"}, me); !errors.Is(err, errVassal) {
		t.Errorf("without a vassal: %v", err)
	}
}

func TestASignatureCountsOnce(t *testing.T) {
	const now, tolerance = 1_000_000, 100
	h := heard{stamp: map[[2]string]int64{}}
	for i, c := range []struct {
		unix  int64
		leave bool
		want  error
	}{
		{now, false, nil},
		{now, false, errOld},
		{now, true, nil},
		{now, false, errOld}, // after it has left
		{now - 1, true, errOld},
		{now + 1, false, nil},
		{now + tolerance + 1, false, errOld},
		{now - tolerance - 1, false, errOld},
	} {
		if err := h.fresh(&subscription.Packet{Key: "k", Address: "a", Unix: c.unix, Leave: c.leave}, now, tolerance); !errors.Is(err, c.want) {
			t.Errorf("%d: %v, want %v", i, err, c.want)
		}
	}
	for i := range nodes.MaxNodes {
		h.stamp[[2]string{"filler", fmt.Sprint(i)}] = now
	}
	if err := h.fresh(&subscription.Packet{Key: "k", Address: "new", Unix: now}, now, tolerance); !errors.Is(err, nodes.ErrFull) {
		t.Errorf("a full memory: %v", err)
	}
	if err := h.fresh(&subscription.Packet{Key: "k", Address: "new", Unix: now + 2*tolerance}, now+2*tolerance, tolerance); err != nil {
		t.Errorf("a memory full of what is old: %v", err)
	}
}

func TestStatisticsAreADocument(t *testing.T) {
	p, _ := newTestProcess(t, routerspec.Spec{Version: "v\"", Subscriptions: []routerspec.Socket{{Name: "127.0.0.1:1"}}, Routing: routerspec.Routing{To: []string{"a:1"}}})
	var document map[string]any
	if err := json.Unmarshal(p.stats(), &document); err != nil {
		t.Fatalf("%v in %s", err, p.stats())
	}
	for _, name := range []string{"version", "pid", "uid", "gid", "cwd", "active_sessions", "fastrouter", "static_nodes", "subscriptions", "cheap"} {
		if _, there := document[name]; !there {
			t.Errorf("there is no %s", name)
		}
	}
}
