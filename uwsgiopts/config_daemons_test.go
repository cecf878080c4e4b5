package uwsgiopts

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestKeysOfAttachDaemon2(t *testing.T) {
	tests := map[string]Daemon{
		"cmd=run": {StopSignal: 15},
		"exec=run, touch=a;b, stop_signal=2,reloadsignal=12,stdin=1,uid=1,gid=2,chdir=d,ns_pid=1,control=no,max_throttle=5": {
			Touch: []string{"a", "b"}, StopSignal: 2, ReloadSignal: 12, Stdin: true, UID: "1", GID: "2", Chdir: "d", PIDNamespace: true, MaxThrottle: 5},
		"command=run,pidfile=p,notifypid=1": {Pidfile: "p", Notify: true, Freq: 10, StopSignal: 15, ReloadSignal: 1},
		"cmd=run,pidfile=p,daemon,ns_pid,notifypid=1,reload_signal=10,freq=3,stdin": {
			Pidfile: "p", Daemonize: true, PIDNamespace: true, Notify: true, Freq: 3, StopSignal: 15, ReloadSignal: 10, Stdin: true},
	}
	for text, want := range tests {
		want.Command = "run"
		cfg, _, err := parseIn(t, nil, nil, "--attach-daemon2", text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := slices.Concat(cfg.Daemons, cfg.Smart); !reflect.DeepEqual(got, []Daemon{want}) {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

func TestKeysOfAttachDaemon2ThatAreRefused(t *testing.T) {
	for text, word := range map[string]string{
		"cmd=run,dance=1":            "dance: is not a known key; known keys: cmd (command, exec), control",
		"cmd=echo a,b":               "put a command that contains one into a script",
		"cmd=run,uid=":               "uid: needs a value",
		"cmd=":                       "cmd: needs a value",
		"pidfile=p":                  "a command (cmd=) is needed",
		"cmd=run,stopsignal=TERM":    `stopsignal: "TERM" is not a number between 1 and 64`,
		"cmd=run,reloadsignal=65":    "between 0 and 64",
		"cmd=run,max_throttle=-1":    `max_throttle: "-1" is not a number`,
		"cmd=run,pidfile=p,freq=0":   `freq: "0" is not a number between 1`,
		"cmd=run,daemonize=1":        "daemonize needs pidfile",
		"cmd=run,notifypid=1":        "notifypid needs pidfile",
		"cmd=run,pidfile=p,ns_pid=1": "ns_pid together with pidfile needs daemonize",
	} {
		if _, _, err := parseIn(t, nil, nil, "--attach-daemon2", text); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want %q", text, err, word)
		}
	}
}

func TestAFreqWithoutAPidfileIsTold(t *testing.T) {
	cfg, _, err := parseIn(t, nil, nil, "--attach-daemon2", "cmd=run,freq=5")
	if err != nil || !slices.ContainsFunc(cfg.Notices, func(s string) bool { return strings.Contains(s, "freq has no effect on a daemon without a pidfile") }) {
		t.Errorf("%q, %v", cfg.Notices, err)
	}
}
