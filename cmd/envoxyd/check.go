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
	for _, problem := range cfg.Problems {
		fmt.Fprintf(os.Stdout, "wrong: %s\n", oneLine(problem.Error()))
	}
	if cfg.Action.Kind == uwsgiopts.ActionSignal {
		fmt.Fprintf(os.Stdout, "wrong: --%s is not carried out together with --check\n", cfg.Action.Option)
		return 1
	}
	if len(cfg.Problems) > 0 {
		return 1
	}
	return cfg.Action.Status
}

// writeReport writes one line for each finding, what is wrong last, where it is seen.
func writeReport(out io.Writer, report *master.CheckReport) {
	for _, notice := range report.Notices {
		fmt.Fprintf(out, "note: %s\n", oneLine(notice))
	}
	for _, problem := range report.Problems {
		fmt.Fprintf(out, "wrong: %s\n", oneLine(problem))
	}
	switch n := len(report.Problems); n {
	case 0:
		fmt.Fprintln(out, "check: nothing is wrong")
	case 1:
		fmt.Fprintln(out, "check: 1 problem")
	default:
		fmt.Fprintf(out, "check: %d problems\n", n)
	}
}

// oneLine keeps a finding on its line: values and messages may hold several.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }
