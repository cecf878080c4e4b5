package uwsgiopts

import (
	"slices"
	"strings"
	"testing"
)

func TestLoggersAreRead(t *testing.T) {
	for text, want := range map[string]Logger{
		"stdio":              {"", "stdio", "", "stdio"},
		"file:/x y":          {"", "file", "/x y", "file:/x y"},
		"app file:/x":        {"app", "file", "/x", "app file:/x"},
		"app syslog:a,b":     {"app", "syslog", "a,b", "app syslog:a,b"},
		"a-b stdio":          {"", "a-b stdio", "", "a-b stdio"}, // no name: names are letters and digits
		"socket:[::1]:514":   {"", "socket", "[::1]:514", "socket:[::1]:514"},
		"pipe:cat > a b:c":   {"", "pipe", "cat > a b:c", "pipe:cat > a b:c"},
		"x1 pipe:exec cat a": {"x1", "pipe", "exec cat a", "x1 pipe:exec cat a"},
		"":                   {"", "", "", ""},
	} {
		if got := ParseLogger(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestLogOptionsThatCannotBeAreRefusedWithAWayOut(t *testing.T) {
	for _, c := range []struct{ option, value, hint string }{
		{"logger", "nosuch:x", "available: fd, file"},
		{"logger", "zeromq:tcp://x", "socket:"},
		{"logger", "app graylog2:x", "rsyslog:"},
		{"req-logger", "mongodblog", "pipe:"},
		{"logger", "file", "file:WHERE"},
		{"log-zeromq", "tcp://x", "log-socket"},
		{"log-route", "app", "NAME followed by"},
		{"alarm-log", "app", "ALARM[,ALARM] REGEXP"},
		{"alarm", "mail curl:http://x", "cmd:curl"},
		{"alarm", "jab xmpp:a", "cmd:"},
		{"alarm", "x nosuch:a", "known kinds: cmd, log, mule, signal"},
		{"alarm", "x signal:256", "0 to 255"},
		{"alarm", "x mule:one", "number of a mule"},
		{"alarm", "x mule:1", "there is no mule 1"},
		{"alarm-fd", "x 3", "ALARM FD[:BYTES] MESSAGE"},
		{"alarm-fd", "x -1 text", "number of a descriptor"},
		{"alarm-fd", "x 3:0 text", "number of bytes"},
		{"alarm-fd", "x 3 text", "there is no alarm"},
		{"alarm", "x", "NAME KIND:ARGUMENT"},
		{"logfile-chmod", "9x9", "octal"},
	} {
		_, err := Parse([]string{"--set", c.option + "=" + c.value}, nil, ParseOptions{})
		if err == nil || !strings.Contains(err.Error(), c.hint) || !strings.Contains(err.Error(), c.option) {
			t.Errorf("%s = %s: %v", c.option, c.value, err)
		}
	}
}

func TestTheLogMasterIsThereWhereItIsNeeded(t *testing.T) {
	for text, want := range map[string]bool{
		"":                              false,
		"logto=x.log":                   false,
		"logto=x.log log-reopen=true":   false,
		"master-fifo=f":                 false,
		"logto=x.log master-fifo=f":     true,
		"daemonize=x.log master-fifo=f": true,
		"logto=127.0.0.1:514":           true,
		"logto=/x:y.log":                false,
		"log-master=true":               true,
		"logger=stdio":                  true,
		"logger=stdio log-master=false": true,
		"req-logger=file:x":             true,
		"log-syslog=":                   true,
		"log-encoder=nl":                true,
		"log-drain=x":                   true,
		"log-maxsize=100":               true,
		"touch-logreopen=x":             true,
		"threaded-logger=true":          false,
		"alarm=a_log:":                  false,
		"alarm=a_log: alarm-log=a_x":    true,
		"alarm-segfault=a":              false,
		"log-date=true":                 true,
		"log-json=true":                 true,
	} {
		var args []string
		for word := range strings.FieldsSeq(text) {
			args = append(args, "--set", strings.ReplaceAll(word, "_", " "))
		}
		cfg, err := Parse(args, nil, ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if cfg.LogMaster != want {
			t.Errorf("%s: %v", text, cfg.LogMaster)
		}
	}
}

func TestAlarmsOfEveryKindAreKept(t *testing.T) {
	cfg := mustParse(t, "--mule", "--alarm", "a signal:17", "--alarm", "b cmd:cat x:y", "--alarm", "c mule:1", "--alarm", "d log")
	want := [][2]string{{"a", "signal:17"}, {"b", "cmd:cat x:y"}, {"c", "mule:1"}, {"d", "log"}}
	if !slices.Equal(cfg.Alarms, want) || len(cfg.Notices) != 0 {
		t.Errorf("alarms %q, notices %q", cfg.Alarms, cfg.Notices)
	}
}

func TestAlarmsOfDescriptors(t *testing.T) {
	cfg := mustParse(t, "--alarm", "a log:", "--alarm-fd", "a 3 text of it", "--alarm-fd", "a 3:8 other", "--alarm-fd", "a 0:2 x")
	want := []AlarmFD{{"a", 3, 1, "text of it"}, {"a", 3, 8, "other"}, {"a", 0, 2, "x"}}
	if !slices.Equal(cfg.AlarmFDs, want) || !slices.Equal(cfg.AlarmDescriptors(), []int{3, 0}) || !cfg.Master {
		t.Errorf("%+v, %v, master %t", cfg.AlarmFDs, cfg.AlarmDescriptors(), cfg.Master)
	}
}

func TestLinesAboutRequestsNeedNoMaster(t *testing.T) {
	for text, want := range map[string]bool{
		"--log-json":                           true,
		"--log-date":                           true,
		"--log-date --log-format x":            true,
		"--log-json --log-format x":            false,
		"--log-json --log-master":              false,
		"--log-json --logger stdio":            false,
		"--log-json --log-reopen":              false,
		"--log-date --logto x --master-fifo y": false,
		"--log-master":                         false,
		"":                                     false,
	} {
		cfg, err := Parse(strings.Fields(text), nil, ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if cfg.LogRequestsDirect != want {
			t.Errorf("%s: %v", text, cfg.LogRequestsDirect)
		}
	}
}
