package uwsgiopts

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// parseAs parses as if the program had another name.
func parseAs(t *testing.T, program string, files map[string]string, args ...string) (*Config, error) {
	t.Helper()
	return Parse(args, nil, ParseOptions{Args0: program, Dir: dirWith(t, files)})
}

// parseIn parses in a new directory that holds the given files.
func parseIn(t *testing.T, files map[string]string, environ []string, args ...string) (*Config, string, error) {
	t.Helper()
	var out strings.Builder
	cfg, err := Parse(args, environ, ParseOptions{Args0: "/usr/bin/uwsgi", Dir: dirWith(t, files), Stdout: &out})
	return cfg, out.String(), err
}

func dirWith(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	source := fstest.MapFS{}
	for name, text := range files {
		source[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	if err := os.CopyFS(dir, source); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustParse(t *testing.T, args ...string) *Config {
	t.Helper()
	cfg, _, err := parseIn(t, nil, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestAnEmptyCommandLineGivesTheDefaults(t *testing.T) {
	cfg := mustParse(t)
	want := defaults()
	want.Program, want.StartDir, want.Magic = "uwsgi", cfg.StartDir, cfg.Magic
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v\nwant %+v", cfg, want)
	}
}

func TestOptionsFillTheConfig(t *testing.T) {
	tests := []struct {
		args  string
		field func(c *Config) any
		want  any
	}{
		{"-p 3", func(c *Config) any { return c.Processes }, 3},
		{"-p=3", func(c *Config) any { return c.Processes }, 3},
		{"--workers 3", func(c *Config) any { return c.Processes }, 3},
		{"-p 3 --workers 2", func(c *Config) any { return c.Processes }, 2},
		{"--threads 0", func(c *Config) any { return c.Threads }, 1},
		{"--stats :1717", func(c *Config) any { return c.Master }, true},
		{"--stats :1717 --set master=false", func(c *Config) any { return c.Master }, false},
		{"--set master=false --stats :1717", func(c *Config) any { return c.Master }, false},
		{"--prometheus 9100 --prometheus :9101", func(c *Config) any { return []any{c.Master, c.Prometheus} }, []any{true, []string{"127.0.0.1:9100", ":9101"}}},
		{"--prometheus [::1]:9100 --prometheus run/m.sock", func(c *Config) any { return c.Prometheus }, []string{"[::1]:9100", "run/m.sock"}},
		{"--status-page 9000 --status-page :9001", func(c *Config) any { return []any{c.Master, c.StatusPage} }, []any{true, []string{"127.0.0.1:9000", "127.0.0.1:9001"}}},
		{"--status-page 0.0.0.0:9000 --status-page [::1]:9000 --status-page run/page.sock", func(c *Config) any { return c.StatusPage }, []string{"0.0.0.0:9000", "[::1]:9000", "run/page.sock"}},
		{"--snmp", func(c *Config) any { return []any{c.Master, c.SNMP, c.SNMPAddress} }, []any{true, true, ""}},
		{"--set snmp=true", func(c *Config) any { return []any{c.SNMP, c.SNMPAddress} }, []any{true, ""}},
		{"--snmp=:161 --snmp=[::1]:1161", func(c *Config) any { return c.SNMPAddress }, "[::1]:1161"},
		{"--snmp-community a --snmp-community b", func(c *Config) any { return []any{c.Master, c.SNMP, c.SNMPCommunity} }, []any{true, true, "b"}},
		{"--log-master", func(c *Config) any { return c.Master }, true},
		{"--mule --socket a", func(c *Config) any { return c.Master }, true},
		{"--harakiri 30", func(c *Config) any { return c.Harakiri }, 30 * time.Second},
		{"--log-slow 250", func(c *Config) any { return c.LogSlow }, 250 * time.Millisecond},
		{"-L", func(c *Config) any { return c.DisableLogging }, true},
		{"--set disable-logging=false", func(c *Config) any { return c.DisableLogging }, false},
		{"--max-vars 10", func(c *Config) any { return c.MaxVars }, 20},
		{"-b 32k", func(c *Config) any { return c.BufferSize }, 32768},
		{"--post-buffering 1", func(c *Config) any { return c.PostBuffering }, int64(1)},
		{"--reload-on-rss 1.5", func(c *Config) any { return c.ReloadOnRSS }, int64(3 << 19)},
		{"--chmod-socket", func(c *Config) any { return c.ChmodSocket }, 0o666},
		{"-C660", func(c *Config) any { return c.ChmodSocket }, 0o660},
		{"--umask 027", func(c *Config) any { return c.Umask }, 0o027},
		{"-m", func(c *Config) any { return c.MemoryReport }, 1},
		{"-m2", func(c *Config) any { return c.MemoryReport }, 2},
		{"--set memory-report=true", func(c *Config) any { return c.MemoryReport }, 1},
		{"--set memory-report=false", func(c *Config) any { return c.MemoryReport }, 0},
		{"--http-manage-expect", func(c *Config) any { return c.HTTPManageExpect }, int64(0)},
		{"--http-manage-expect=2000", func(c *Config) any { return c.HTTPManageExpect }, int64(2000)},
		{"--set need-app=false", func(c *Config) any { return c.NeedApp }, false},
		{"--procname-prefix-spaced web", func(c *Config) any { return c.ProcnamePrefix }, "web "},
		{"--procname x", func(c *Config) any { return c.AutoProcname }, true},
		{"--log-date", func(c *Config) any { return c.LogDate }, "true"},
		{"--log-date=%H", func(c *Config) any { return c.LogDate }, "%H"},
		{"--venv /v", func(c *Config) any { return c.Home }, "/v"},
		{"--pp a --python-path b", func(c *Config) any { return c.Pythonpath }, []string{"a", "b"}},
		{"--env A=1 --unenv B --env B=2 --unenv A", func(c *Config) any { return c.Env }, []string{"A=1", "B", "B=2", "A"}},
		{"--env A=1 --unenv B --env B=2 --unenv A", func(c *Config) any { return c.Unenv }, []string{"A"}},
		{"--env A=1 --ienv B=2", func(c *Config) any { return c.Env }, []string{"B=2", "A=1"}},
		{"--uid root", func(c *Config) any { return c.UID }, "root"},
		{"--set conf=/a --set conf=/b", func(c *Config) any { return c.Conf }, "/b"},
		{"--set mode=test", func(c *Config) any { return c.Mode }, "test"},
		{"--fallback-config x.ini", func(c *Config) any { return c.FallbackConfig }, "x.ini"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			if got := tt.field(mustParse(t, strings.Fields(tt.args)...)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSocketsKeepOrderProtocolAndPlace(t *testing.T) {
	cfg := mustParse(t, "--http", ":80", "-s", "/tmp/a.sock", "--http-socket", ":81", "--protocol", "scgi", "--uwsgi-socket", "b.sock", "-a")
	want := []Socket{
		{Protocol: "http-router", Address: ":80", Origin: commandLine}, {Protocol: "scgi", Address: "@/tmp/a.sock", Origin: commandLine},
		{Protocol: "http", Address: ":81", Origin: commandLine}, {Protocol: "uwsgi", Address: "@b.sock", Origin: commandLine},
	}
	if !reflect.DeepEqual(cfg.Sockets, want) {
		t.Errorf("got %+v\nwant %+v", cfg.Sockets, want)
	}
}

func TestRefusalsNameTheOptionAndThePlace(t *testing.T) {
	files := map[string]string{
		"neg.ini":     "[uwsgi]\n\nprocesses = -1\n",
		"outer.ini":   "[uwsgi]\nini = neg.ini\n",
		"loop.ini":    "[uwsgi]\ninclude = loop.ini\n",
		"typo.ini":    "[uwsgi]\nstrict = true\nvaccum = true\n",
		"raw.ini":     "[uwsgi]\nraw-socket = :1\n",
		"php.ini":     "[uwsgi]\nphp-docroot = /srv\n",
		"guarded.ini": "[uwsgi]\nroute = ^/ basicauth:realm\n",
	}
	tests := []struct {
		args   string
		status int
		words  []string
	}{
		{"--ini neg.ini", 1, []string{"neg.ini:3", `"processes"`, "-1"}},
		{"--ini outer.ini", 1, []string{"neg.ini:3", "included from outer.ini:2"}},
		{"--ini loop.ini", 1, []string{"loop"}},
		{"--ini typo.ini", 1, []string{"strict", "vaccum", "typo.ini:3"}},
		{"--ini php.ini", 1, []string{"php-docroot", "php.ini:2", "another language"}},
		{"--ini guarded.ini", 1, []string{"basicauth", "guarded.ini:2"}},
		{"--ini absent.ini", 1, []string{"absent.ini", "No such file"}},
		{"-p 0", 1, []string{"processes"}},
		{"-p 99999999999", 1, []string{"processes", "too large"}},
		{"-p 20000", 1, []string{"processes"}},
		{"--buffer-size -5", 1, []string{"buffer-size"}},
		{"--cheaper 2 -p 2", 1, []string{"cheaper"}},
		{"--listen 99999999", 1, []string{"listen", "somaxconn"}},
		{"--chmod-socket=9999", 1, []string{"chmod-socket", "9999"}},
		{"--uid no-such-user", 1, []string{"uid", "no-such-user"}},
		{"--protocol gopher -s :1", 1, []string{"protocol", "gopher"}},
		{"--ini raw.ini", 1, []string{"raw.ini:2", `"raw-socket"`, "attach-daemon"}},
		{"--protocol raw -s :1", 1, []string{`"protocol"`, `"raw"`, "attach-daemon"}},
		{"--static-map x", 1, []string{"static-map"}},
		{"--need-plugin nosuch", 1, []string{"nosuch"}},
		{"--ini :x", 1, []string{`"x"`}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, out, err := parseIn(t, files, nil, strings.Fields(tt.args)...)
			var refused *ExitError
			if !errors.As(err, &refused) {
				t.Fatalf("not refused: %v", err)
			}
			if refused.Status != tt.status || out != "" {
				t.Errorf("status %d, output %q", refused.Status, out)
			}
			for _, word := range tt.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
		})
	}
}

func TestMissingFilesCanBeToldByErrorsIs(t *testing.T) {
	_, _, err := parseIn(t, nil, nil, "--ini", "absent.ini")
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v is not os.ErrNotExist", err)
	}
}

func TestNoticesAreGivenOnceWithTheirPlace(t *testing.T) {
	cfg, _, err := parseIn(t, map[string]string{"a.ini": strings.Join([]string{
		"[uwsgi]", "harakiri = 60 ; seconds", "vaccum = true", "base = /srv", "chdir = %(base)", "allow-missing", "never-swap = true",
		"plugin = python3,nosuch", "buffer-size = 32k", "k8s = 1", "if-env = HOME"}, "\n")}, []string{"UWSGI_PORT=tcp://1"}, "--ini", "a.ini", "--set", "free=1")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`[uWSGI] getting INI configuration from a.ini`,
		`"if-env" is not closed: everything after it belongs to the block (a.ini:11)`,
		`[WARNING] non-numeric value "60 ; seconds" for option "harakiri" - using 60 ! (a.ini:2)`,
		`!!! UNABLE to load uWSGI plugin nosuch: it is not built in, and plugins cannot be loaded !!! (a.ini:8)`,
		`option "buffer-size": "32k" is read as 32768 bytes (a.ini:9)`,
		`a.ini:7: option "never-swap" is not supported and left out (allow-missing): ` + allOptions().find("never-swap").Unsupported,
		`unknown option "vaccum" is ignored; did you mean "vacuum"? (a.ini:3)`,
		`unknown option "k8s" is ignored (a.ini:10)`,
	}
	if !reflect.DeepEqual(cfg.Notices, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(cfg.Notices, "\n"), strings.Join(want, "\n"))
	}
	if cfg.Harakiri != time.Minute {
		t.Errorf("harakiri is %v", cfg.Harakiri)
	}
}

func TestActionsEndTheStart(t *testing.T) {
	tests := []struct {
		args string
		want Action
		out  string
	}{
		{"--version --no-server", Action{}, Version + "\n"},
		{"--exit=7 --no-such", Action{Status: 7}, ""},
		{"--print a --get x --set x=1 --set x=2", Action{}, "a\n1\n"},
		{"--stop my.pid", Action{Kind: ActionSignal, Option: "stop", Pidfile: "my.pid"}, ""},
		{"--upgrade my.pid", Action{Kind: ActionSignal, Option: "upgrade", Pidfile: "my.pid"}, ""},
		{"init django", Action{Kind: ActionInit, Words: []string{"django"}}, ""},
		{"service envoxy.json log.level=7", Action{Kind: ActionService, Words: []string{"envoxy.json", "log.level=7"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			cfg, out, err := parseIn(t, nil, nil, strings.Fields(tt.args)...)
			if err != nil || cfg.Action == nil || !reflect.DeepEqual(*cfg.Action, tt.want) || out != tt.out {
				t.Errorf("got %+v, %q, %v", cfg.Action, out, err)
			}
		})
	}
}

func TestEnvironAppliesTheChangesInOrder(t *testing.T) {
	cfg := mustParse(t, "--env", "A=1", "--unenv", "B", "--env", "A=2=3", "--env", "C=4", "--unenv", "C", "--env", "D=", "--unenv", "E", "--env", "E=5")
	got := cfg.Environ([]string{"B=b", "E=e", "F=f", "A=a"})
	if want := []string{"F=f", "A=2=3", "D=", "E=5"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
