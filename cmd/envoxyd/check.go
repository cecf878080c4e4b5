package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"envoxyd/emperor"
	"envoxyd/master"
	"envoxyd/uwsgiopts"
)

// check reports all that is wrong with a start of cfg and returns the exit status.
func check(cfg *uwsgiopts.Config) int {
	if cfg.Action != nil {
		return refuseAction(cfg)
	}
	report := master.Check(cfg)
	for _, err := range emperor.Check(cfg) {
		report.Problems = append(report.Problems, err.Error())
		report.Status = 1
	}
	writeReport(os.Stdout, report)
	return report.Status
}

// refuseAction: the command line, or a file, asks for something else than a start.
func refuseAction(cfg *uwsgiopts.Config) int {
	for _, option := range cfg.LeftOut {
		fmt.Fprintf(os.Stdout, "left out: %s\n", oneLine(option))
	}
	for _, problem := range cfg.Problems {
		fmt.Fprintf(os.Stdout, "wrong: %s\n", oneLine(problem.Error()))
	}
	if cfg.Action.Kind == uwsgiopts.ActionSignal {
		fmt.Fprintf(os.Stdout, "wrong: --%s is not carried out together with --check\n", cfg.Action.Option)
		return 1
	}
	if len(cfg.Problems)+len(cfg.LeftOut) > 0 {
		return 1
	}
	return cfg.Action.Status
}

// writeReport writes one line for each finding, what is wrong last, where it is seen.
func writeReport(out io.Writer, report *master.CheckReport) {
	for _, notice := range report.Notices {
		fmt.Fprintf(out, "note: %s\n", oneLine(notice))
	}
	for _, option := range report.LeftOut {
		fmt.Fprintf(out, "left out: %s\n", oneLine(option))
	}
	for _, problem := range report.Problems {
		fmt.Fprintf(out, "wrong: %s\n", oneLine(problem))
	}
	var found []string
	if n := len(report.Problems); n > 0 {
		found = append(found, counted(n, "problem", "problems"))
	}
	if n := len(report.LeftOut); n > 0 {
		found = append(found, counted(n, "option left out", "options left out"))
	}
	if len(found) == 0 {
		found = []string{"nothing is wrong"}
	}
	fmt.Fprintf(out, "check: %s\n", strings.Join(found, ", "))
}

// counted writes a number and what is counted.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// oneLine keeps a finding on its line: values and messages may hold several.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }
