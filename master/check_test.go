package master

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"envoxyd/uwsgiopts"
)

// parsed reads an ini file in a directory of its own and returns a checker for it.
func parsed(t *testing.T, lines ...string) *checker {
	t.Helper()
	dir := t.TempDir()
	text := "[uwsgi]\n" + strings.Join(lines, "\n") + "\n"
	for name, content := range map[string]string{"site.ini": text, "file": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := uwsgiopts.Parse([]string{"--ini", "site.ini", "--check"}, nil, uwsgiopts.ParseOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return &checker{cfg: cfg, report: &CheckReport{}}
}

func TestCheckOfSockets(t *testing.T) {
	tests := []struct{ address, problem string }{
		{"127.0.0.1:80", ""}, {":80", ""}, {"*:80", ""}, {"[::1]:80", ""}, {"@name", ""}, {"fd://3", ""}, {"site.sock", ""}, {"/tmp/site:1.sock", ""},
		{"127.0.0.1:99999", "site.ini:2: socket 127.0.0.1:99999: address 99999: invalid port"},
		{":99999", "site.ini:2: socket :99999: address 99999: invalid port"},
		{"*:99999", "site.ini:2: socket *:99999: address 99999: invalid port"},
		{"localhost:web", "site.ini:2: socket localhost:web: lookup tcp/web: unknown port"},
		{"host.invalid:80", "site.ini:2: socket host.invalid:80: "},
		{"fd://x", "site.ini:2: socket fd://x: "},
		{"=1", "site.ini:2: socket =1: there is no such shared socket"},
		{"/none/such/site.sock", "site.ini:2: socket /none/such/site.sock: its directory: "},
		{"file", "site.ini:2: socket file: there is a file of that name"},
		{strings.Repeat("x", 120), "site.ini:2: socket xxx"},
	}
	for _, tt := range tests {
		c := parsed(t, "socket = "+tt.address)
		c.sockets()
		problems := strings.Join(c.report.Problems, "\n")
		if tt.problem == "" && problems != "" || !strings.HasPrefix(problems, tt.problem) {
			t.Errorf("%s: %q, want %q", tt.address, problems, tt.problem)
		}
		if want := map[bool]int{true: statusOK, false: statusFailed}[tt.problem == ""]; c.report.Status != want {
			t.Errorf("%s: status %d", tt.address, c.report.Status)
		}
	}
}

func TestCheckOfAnAddressThatIsGivenTwice(t *testing.T) {
	c := parsed(t, "socket = :80", "http-socket = :80", "socket = :0", "socket = :0")
	c.sockets()
	if len(c.report.Problems) != 1 || !strings.HasPrefix(c.report.Problems[0], "site.ini:3: ") {
		t.Errorf("%q", c.report.Problems)
	}
}

func TestCheckOfFilesAndUsers(t *testing.T) {
	c := parsed(t, "pidfile = /none/such/pid", "logto = .", "safe-pidfile = site.pid", "master-fifo = /none/such/fifo",
		"chown-socket = no-such-user:no-such-group", "add-gid = no-such-group", "static-map = /a=/none/a", "touch-reload = /none/b", "pythonpath = /none/c*", "touch-reload = made-later")
	c.users()
	c.writtenFiles()
	c.readFiles()
	c.masterFiles()
	for _, want := range []string{"site.ini:2: pidfile", "site.ini:3: logto", "site.ini:5: master-fifo", "site.ini:6: chown-socket", "site.ini:7: add-gid"} {
		if !slices.ContainsFunc(c.report.Problems, func(p string) bool { return strings.HasPrefix(p, want) }) {
			t.Errorf("%s is missing in %q", want, c.report.Problems)
		}
	}
	for _, want := range []string{"(site.ini:8)", "(site.ini:9)", "(site.ini:10)"} {
		if !slices.ContainsFunc(c.report.Notices, func(n string) bool { return strings.HasSuffix(n, want) }) {
			t.Errorf("%s is missing in %q", want, c.report.Notices)
		}
	}
	if slices.ContainsFunc(c.report.Notices, func(n string) bool { return strings.Contains(n, "made-later") }) {
		t.Errorf("a file that is touched later is missed: %q", c.report.Notices)
	}
	if len(c.report.Problems) != 6 { // both halves of chown-socket
		t.Errorf("%d problems: %q", len(c.report.Problems), c.report.Problems)
	}
}

func TestCheckOfWhoDaemonsRunAs(t *testing.T) {
	c := parsed(t, "attach-daemon2 = cmd=run,uid=no-such-user", "attach-daemon2 = cmd=run,pidfile=p,gid=no-such-group", "attach-daemon2 = cmd=run,uid=0")
	if c.users(); len(c.report.Problems) != 2 {
		t.Errorf("%q", c.report.Problems)
	}
}

func TestStatusOfACheck(t *testing.T) {
	for _, tt := range []struct {
		given []int
		want  int
	}{
		{nil, 0}, {[]int{statusNoApp}, 22}, {[]int{statusNoEnvoxy}, 246}, {[]int{1, 22}, 1}, {[]int{22, 1}, 1}, {[]int{22, 246}, 22}, {[]int{246, 22}, 246},
	} {
		c := &checker{report: &CheckReport{}}
		for _, status := range tt.given {
			c.add(status, uwsgiopts.Origin{}, "a problem")
		}
		if c.report.Status != tt.want {
			t.Errorf("%v: %d, want %d", tt.given, c.report.Status, tt.want)
		}
	}
}
