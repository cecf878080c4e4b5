package master

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

// alarmed raises alarms by calls of raise and returns what their command has read in the end.
func alarmed(t *testing.T, cfg *uwsgiopts.Config, raise func(a *alarms)) string {
	t.Helper()
	cfg.StartDir = t.TempDir()
	cfg.Alarms = [][2]string{{"save", "cmd:cat >> out; echo '|' >> out"}}
	commands := newCommands()
	defer commands.close()
	a := newAlarms(commands, nil)
	a.reconfigure(cfg)
	raise(a)
	a.close()
	text, err := os.ReadFile(filepath.Join(cfg.StartDir, "out"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnAlarmIsNotRepeatedForAWhile(t *testing.T) {
	for freq, want := range map[int]string{3: "a|\nb|\n", 0: "a|\na|\nb|\na|\n"} {
		got := alarmed(t, &uwsgiopts.Config{LoggingConfig: uwsgiopts.LoggingConfig{AlarmFreq: freq}}, func(a *alarms) {
			for _, message := range []string{"a", "a", "b", "a"} {
				a.raise("save", []byte(message))
			}
			a.raise("nosuch", []byte("c"))
		})
		if got != want {
			t.Errorf("freq %d: %q, want %q", freq, got, want)
		}
	}
}

func TestAnAlarmIsNotRepeatedBecauseOfAReload(t *testing.T) {
	cfg := &uwsgiopts.Config{LoggingConfig: uwsgiopts.LoggingConfig{AlarmFreq: 3}}
	got := alarmed(t, cfg, func(a *alarms) {
		a.raise("save", []byte("a"))
		a.reconfigure(cfg)
		a.raise("save", []byte("a"))
		a.raise("save", []byte("b"))
	})
	if got != "a|\nb|\n" {
		t.Errorf("%q", got)
	}
}

func TestAMessageIsCutToItsSize(t *testing.T) {
	got := alarmed(t, &uwsgiopts.Config{LoggingConfig: uwsgiopts.LoggingConfig{AlarmMsgSize: 5}}, func(a *alarms) {
		a.raise("save", []byte("a long message"))
	})
	if got != "a lon|\n" {
		t.Errorf("%q", got)
	}
}

func TestRaisingNeverWaits(t *testing.T) {
	begin := time.Now()
	got := alarmed(t, &uwsgiopts.Config{}, func(a *alarms) {
		a.all["save"].argument = "exec sleep 100"
		for range 3 * alarmQueue {
			a.raise("save", []byte("x"))
		}
		if spent := time.Since(begin); spent > 2*time.Second {
			t.Errorf("took %v", spent)
		}
	})
	if spent := time.Since(begin); spent > lastAlarms+alarmCommand/2 {
		t.Errorf("the end waited for %v", spent)
	}
	if strings.Contains(got, "x") {
		t.Errorf("%q", got)
	}
}
