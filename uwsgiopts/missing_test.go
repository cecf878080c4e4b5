package uwsgiopts

import (
	"strings"
	"testing"
)

func TestOptionsThatMayBeLeftOut(t *testing.T) {
	for _, tt := range []struct {
		args, refused string
		leftOut       int
	}{
		{"--never-swap", `option "never-swap" is not supported: `, 0},
		{"--never-swap", "; --allow-missing=never-swap starts without it", 0},
		{"--never-swap --allow-missing", "", 1},
		{"--allow-missing --never-swap --profiler p", "", 2},
		{"--allow-missing=never-swap,profiler --never-swap --profiler p", "", 2},
		{"--allow-missing=profiler --never-swap", `option "never-swap" is not supported: `, 0},
		{"--allow-missing=fd-safe --safe-fd 3", "", 1}, // a name stands for the option
		{"--allow-missing --pivot-root /a", `option "pivot-root" is not supported: `, 0},
		{"--allow-missing=pivot-root", `the service is not the same without "pivot-root": `, 0},
		{"--allow-missing=processes", `"processes" is supported: there is nothing to allow`, 0},
		{"--allow-missing=never-swop", `there is no option "never-swop"`, 0},
	} {
		cfg, _, err := parseIn(t, nil, nil, strings.Fields(tt.args)...)
		switch {
		case tt.refused == "" && err != nil || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)):
			t.Errorf("%s: %v, want %q", tt.args, err, tt.refused)
		case err == nil && (len(cfg.LeftOut) != tt.leftOut || len(cfg.Notices) != tt.leftOut):
			t.Errorf("%s: left out %q, notices %q", tt.args, cfg.LeftOut, cfg.Notices)
		}
	}
}
