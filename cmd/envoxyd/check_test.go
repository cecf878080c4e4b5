package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"envoxyd/master"
	"envoxyd/uwsgiopts"
)

func TestTheReportHasOneLineForEachFinding(t *testing.T) {
	tests := []struct {
		report master.CheckReport
		want   string
	}{
		{master.CheckReport{}, "check: nothing is wrong\n"},
		{master.CheckReport{Notices: []string{"a\nb"}, Problems: []string{"c\nd"}, Status: 1}, "note: a b\nwrong: c d\ncheck: 1 problem\n"},
		{master.CheckReport{LeftOut: []string{"x"}, Problems: []string{"a", "b"}, Status: 1}, "left out: x\nwrong: a\nwrong: b\ncheck: 2 problems, 1 option left out\n"},
		{master.CheckReport{LeftOut: []string{"x", "y"}, Status: 1}, "left out: x\nleft out: y\ncheck: 2 options left out\n"},
		{master.CheckReport{Problems: []string{"a", "b"}, Status: 1}, "wrong: a\nwrong: b\ncheck: 2 problems\n"},
	}
	for _, tt := range tests {
		var out strings.Builder
		writeReport(&out, &tt.report)
		if out.String() != tt.want {
			t.Errorf("%q, want %q", out.String(), tt.want)
		}
	}
}

func TestACheckCarriesOutNoAction(t *testing.T) {
	exit := func(status int) *uwsgiopts.Action {
		return &uwsgiopts.Action{Kind: uwsgiopts.ActionExit, Status: status}
	}
	for _, tt := range []struct {
		cfg  uwsgiopts.Config
		want int
	}{
		{uwsgiopts.Config{Action: &uwsgiopts.Action{Kind: uwsgiopts.ActionSignal, Option: "stop", Pidfile: "/none"}}, 1},
		{uwsgiopts.Config{Action: exit(0)}, 0},
		{uwsgiopts.Config{Action: exit(7)}, 7},
		{uwsgiopts.Config{Action: exit(0), Problems: []error{errors.New("a problem")}}, 1},
	} {
		if got := check(&tt.cfg); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.cfg.Action, got, tt.want)
		}
	}
}

func TestSocketsMayComeFromOthers(t *testing.T) {
	for _, name := range []string{"LISTEN_FDS", "TABLEFLIP_HAS_PARENT_7DIU3"} {
		t.Setenv(name, "") // to be put back at the end
		os.Unsetenv(name)
	}
	if inheritsSockets() {
		t.Error("sockets are expected from nobody")
	}
	for _, name := range []string{"LISTEN_FDS", "TABLEFLIP_HAS_PARENT_7DIU3"} {
		t.Setenv(name, "1")
		if !inheritsSockets() {
			t.Errorf("%s is not noticed", name)
		}
		os.Unsetenv(name)
	}
}
