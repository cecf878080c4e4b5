package uwsgiopts

import (
	"slices"
	"strings"
	"testing"
)

// uWSGI makes a unix socket of the name 8000 out of --http 8000.
func TestPortsAndAddressesAlone(t *testing.T) {
	const (
		port = "write :8000 for the port on all addresses, 127.0.0.1:8000 for this machine alone"
		host = "write 0.0.0.0:PORT for a port on that address"
	)
	for _, tt := range []struct{ option, address, refusal, notice string }{
		{"http", "8000", "socket 8000 would be a unix socket of that name: " + port + ", or ./8000 for a unix socket", ""},
		{"http-socket", "8000", "socket 8000 would be a unix socket of that name: " + port + ", or ./8000 for a unix socket", ""},
		{"http11-socket", "0.0.0.0", "socket 0.0.0.0 would be a unix socket of that name: " + host + ", or ./0.0.0.0 for a unix socket", ""},
		{"socket", "8000", "", "socket 8000 is a unix socket of that name: " + port},
		{"uwsgi-socket", "0.0.0.0", "", "socket 0.0.0.0 is a unix socket of that name: " + host},
		{"stats", "8000", "", "stats 8000 is a unix socket of that name: " + port},
		{"shared-socket", "8000", "", "shared-socket 8000 is a unix socket of that name: " + port},
		{"http", ":8000", "", ""}, {"http", "./8000", "", ""}, {"http", "site.sock", "", ""}, {"http", "[::1]:8000", "", ""}, {"socket", "=0", "", ""},
		{"socket", "@8000", "", ""}, {"socket", "fd://3", "", ""}, {"socket", "/run/8000", "", ""}, {"socket", "8000.sock", "", ""},
	} {
		c, err := Parse([]string{"--" + tt.option, tt.address, "--module", "a"}, nil, ParseOptions{})
		got := ""
		if err != nil {
			got = strings.TrimPrefix(err.Error(), "command line: ")
		}
		if got != tt.refusal {
			t.Errorf("--%s %s: %q, want %q", tt.option, tt.address, got, tt.refusal)
		}
		notices := slices.DeleteFunc(c.Notices, func(n string) bool { return !strings.Contains(n, "unix socket") })
		if want := tt.notice + " (command line)"; tt.notice == "" && len(notices) > 0 || tt.notice != "" && !slices.Equal(notices, []string{want}) {
			t.Errorf("--%s %s: %q, want %q", tt.option, tt.address, notices, want)
		}
	}
	c, err := Parse([]string{"--http", "8000", "--protocol", "http", "--socket", "8001", "--check"}, nil, ParseOptions{})
	if err != nil || len(c.Problems) != 2 {
		t.Errorf("--check: %q, %v", c.Problems, err)
	}
}

// What runs daemons or jobs alone is a service: nothing here stands in its way.
func TestServicesWithoutASocket(t *testing.T) {
	for _, args := range [][]string{
		{"--master", "--attach-daemon", "true"}, {"--cron", "-1 -1 -1 -1 -1 true"}, {"--attach-daemon2", "cmd=true"}, {"--smart-attach-daemon", "/x true"},
		{"--master", "--attach-daemon", "true", "--processes", "0"}, {"--master", "--cron2", "minute=1 true", "--strict", "--max-requests", "5", "--listen", "16"},
	} {
		for _, program := range []string{"uwsgi", "envoxyd"} {
			c, err := Parse(args, nil, ParseOptions{Args0: program})
			if err != nil || len(c.Daemons)+len(c.Smart)+len(c.Crons) == 0 || c.Processes < 1 {
				t.Errorf("%s %q: %v", program, args, err)
			}
		}
	}
}
