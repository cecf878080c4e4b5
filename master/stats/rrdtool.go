package stats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"envoxyd/uwsgiopts"
)

// RRDProgram writes round-robin databases.
const RRDProgram = "rrdtool"

// Processes starts programs and waits for them, for an owner that has to know all of its children.
type Processes interface {
	Start(cmd *exec.Cmd) error
	Wait(cmd *exec.Cmd) error
}

// toRRD has rrdtool update one database for each metric, and create those that do not exist.
func (p *pusher) toRRD(ctx context.Context, all []Metric) error {
	dir := p.Address
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(p.settings.Dir, dir)
	}
	commands, err := rrdCommands(dir, all, p.Every)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, RRDProgram, "-") // commands come on standard input
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(commands)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := p.settings.Processes.Start(cmd); err != nil {
		return err
	}
	err = p.settings.Processes.Wait(cmd)
	for line := range strings.Lines(said.String()) { // it goes on after an error, and ends with status 0
		if reason, failed := strings.CutPrefix(line, "ERROR: "); failed {
			err = errors.Join(err, errors.New(strings.TrimSpace(reason)))
		}
	}
	return err
}

// rrdCommands are the commands for rrdtool, one on each line.
func rrdCommands(dir string, all []Metric, every time.Duration) (string, error) {
	var b strings.Builder
	step := max(int(every.Seconds()), 1)
	for _, m := range all {
		name := rrdName(m.Name)
		switch _, err := os.Stat(filepath.Join(dir, name)); {
		case errors.Is(err, fs.ErrNotExist):
			writeCreate(&b, name, m.Kind, step)
		case err != nil:
			return "", fmt.Errorf("rrdtool: %w", err)
		}
		fmt.Fprintf(&b, "update %s N:%d\n", name, m.Value)
	}
	return b.String(), nil
}

// writeCreate writes the command for a new database: averages and maxima, single values for two days, then coarser ones up to about
// two years (for a step of five minutes).
func writeCreate(b *strings.Builder, name string, kind uwsgiopts.MetricKind, step int) {
	source := "GAUGE:%d:U:U"
	if kind == uwsgiopts.Counter {
		source = "DERIVE:%d:0:U" // of a counter that begins again with a restart there is no rate, not a huge one
	}
	fmt.Fprintf(b, "create %s --step %d DS:metric:"+source, name, step, 2*step)
	for _, function := range []string{"AVERAGE", "MAX"} {
		for _, archive := range []struct{ steps, rows int }{{1, 600}, {6, 700}, {24, 775}, {288, 797}} {
			fmt.Fprintf(b, " RRA:%s:0.5:%d:%d", function, archive.steps, archive.rows)
		}
	}
	b.WriteByte('\n')
}

// rrdName is the file of a metric; what a command or a path could not hold is an underscore.
func rrdName(metric string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c) {
			return c
		}
		return '_'
	}, strings.TrimLeft(metric, "-.")) + ".rrd"
}
