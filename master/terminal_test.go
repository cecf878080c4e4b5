package master

import (
	"strings"
	"testing"
	"time"

	"envoxyd/master/sockets"
	"envoxyd/uwsgiopts"
)

func TestWhoReadsTheLog(t *testing.T) {
	for name, c := range map[string]struct {
		args     []string
		terminal bool
		env      map[string]string
		want     shown
	}{
		"a file":               {nil, false, nil, shown{}},
		"a terminal":           {nil, true, nil, shown{true, true}},
		"without colours":      {nil, true, map[string]string{"NO_COLOR": "1"}, shown{true, false}},
		"a dumb one":           {nil, true, map[string]string{"TERM": "dumb"}, shown{true, false}},
		"never":                {[]string{"--log-color", "never"}, true, nil, shown{}},
		"always":               {[]string{"--log-color", "always"}, false, map[string]string{"NO_COLOR": "1"}, shown{true, true}},
		"auto":                 {[]string{"--log-color", "auto"}, false, nil, shown{}},
		"a log file":           {[]string{"--logto", "x", "--log-color", "always"}, true, nil, shown{}},
		"the master's own log": {[]string{"--log-json", "--log-color", "always"}, true, nil, shown{}},
	} {
		cfg, err := uwsgiopts.Parse(c.args, nil, uwsgiopts.ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := shownTo(cfg, c.terminal, func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestSummary(t *testing.T) {
	cfg, err := uwsgiopts.Parse([]string{"--wsgi-file", "app.py", "-p", "2", "--threads", "4", "--touch-reload", "x.ini"}, nil, uwsgiopts.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listening := []*sockets.Socket{{Protocol: "http", Name: "0.0.0.0:8080"}, {Protocol: "http", Name: "127.0.0.1:8443", TLS: &uwsgiopts.Certificate{}},
		{Protocol: "uwsgi", Name: "/run/app.sock", Path: "/run/app.sock"}, {Protocol: sockets.Stats, Name: "127.0.0.1:9191"}}
	want := `envoxyd is ready after 1.2 s
  listening   http://localhost:8080/ (http)
  listening   https://127.0.0.1:8443/ (http)
  listening   /run/app.sock (uwsgi)
  listening   127.0.0.1:9191 (stats)
  application app.py
  python      /venv/bin/python3
  workers     2 with 4 threads each
  reload      kill -HUP 70, or touch x.ini
  stop        Ctrl-C, or kill -INT 70`
	if got := strings.Join(summary(cfg, listening, "/venv/bin/python3", 70, 1234*time.Millisecond), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
