package uwsgiopts

import (
	"errors"
	"strings"
	"testing"
)

func TestProfileAppliesToServicesOfEnvoxydOnly(t *testing.T) {
	files := map[string]string{
		"conf.ini":    "[uwsgi]\nconf = /etc/envoxy.json\nprocesses = 2\n",
		"inherit.ini": "[uwsgi]\ninherit = conf.ini\n",
		"plain.ini":   "[uwsgi]\nmodule = app\n",
	}
	tests := []struct {
		program, args string
		profile       bool
		module        string
		processes     int
	}{
		{"envoxyd", "--set conf=x.json", true, "run:app", 4},
		{"/opt/bin/envoxyd", "--set mode=test -p 1", true, "run:app", 1},
		{"envoxyd", "--set-placeholder conf=x.json", true, "run:app", 4},
		{"envoxyd", "--ini conf.ini", true, "run:app", 2},
		{"envoxyd", "inherit.ini", true, "run:app", 2},
		{"envoxyd", "--set conf=x.json --wsgi-file app.py", true, "", 4},
		{"envoxyd", "--set conf=x.json -w app", true, "app", 4},
		{"envoxyd", "--ini plain.ini", false, "app", 1},
		{"uwsgi", "--set conf=x.json", false, "", 1},
	}
	for _, tt := range tests {
		t.Run(tt.program+" "+tt.args, func(t *testing.T) {
			cfg, err := parseAs(t, tt.program, files, strings.Fields(tt.args)...)
			if err != nil {
				t.Fatal(err)
			}
			module := strings.Join(cfg.Modules, " ")
			if cfg.Profile != tt.profile || module != tt.module || cfg.Processes != tt.processes || cfg.Vacuum != tt.profile {
				t.Errorf("profile %v, module %q, %d processes, vacuum %v", cfg.Profile, module, cfg.Processes, cfg.Vacuum)
			}
		})
	}
}

func TestAServiceWithNothingToServeIsToldWhatIsMissing(t *testing.T) {
	tests := []struct {
		program, args string
		status        int
	}{
		{"envoxyd", "--http :8080", 246},
		{"envoxyd", "--http :8080 --no-server", 0},
		{"envoxyd", "--http :8080 --wsgi-file app.py", 0},
		{"envoxyd", "--http :8080 -s x.sock", 0},
		{"envoxyd", "--http :8080 --set mode=test", 0},
		{"envoxyd", "--http :8080 empty.ini", 0},
		{"uwsgi", "--http :8080", 0},
		{"envoxyd", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.program+" "+tt.args, func(t *testing.T) {
			_, err := parseAs(t, tt.program, map[string]string{"empty.ini": "[uwsgi]\n"}, strings.Fields(tt.args)...)
			status := 0
			var refused *ExitError
			if errors.As(err, &refused) {
				status = refused.Status
			}
			if status != tt.status {
				t.Errorf("status %d (%v), want %d", status, err, tt.status)
			}
		})
	}
}
