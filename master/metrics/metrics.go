// Package metrics keeps the numbers that applications and tools know by name: those of the instance itself, put there
// once a second, and those that the configuration adds for the application to change.
package metrics

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"envoxyd/internal/shm"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

// Host is what a Registry needs of the program.
type Host interface {
	Logf(format string, args ...any)
	Raise(alarm string, message []byte)
}

// Registry is all metrics of an instance. It is for one goroutine.
type Registry struct {
	host       Host
	memory     *shm.Metrics
	added      []added
	thresholds []threshold
	detail     stats.MetricsDetail
	dir        *Dir
	told       map[string]bool // what is wrong, said once
}

// added is one metric of the configuration.
type added struct {
	uwsgiopts.Metric
	cell      *shm.Metric
	collected time.Time
}

type threshold struct {
	uwsgiopts.MetricThreshold
	raised time.Time
}

// New returns a registry over the memory that processes share.
func New(host Host, memory *shm.Metrics) *Registry {
	return &Registry{host: host, memory: memory, told: map[string]bool{}}
}

// Declare adds the metrics of cfg that are not there yet, with their initial values or those of their files. dir is where
// its relative paths start.
func (r *Registry) Declare(cfg *uwsgiopts.MetricsConfig, dir string) {
	for _, m := range cfg.Metrics {
		cell, isNew := r.memory.Get(m.Name)
		switch {
		case cell == nil:
			r.complain("metric %q: its name is too long, or there are too many", m.Name)
		case isNew:
			cell.Value.Store(m.Initial)
			if cfg.MetricsDir != "" && cfg.MetricsDirRestore {
				r.restore(newDir(in(dir, cfg.MetricsDir)), m.Name, cell)
			}
		}
	}
}

// Reconfigure takes the metrics of cfg. dir is where its relative paths start.
func (r *Registry) Reconfigure(cfg *uwsgiopts.MetricsConfig, dir string) {
	r.Declare(cfg, dir)
	r.added, r.thresholds, r.dir = nil, nil, nil
	r.detail = stats.MetricsDetail{Workers: true, Cores: !cfg.MetricsNoCores}
	if cfg.MetricsDir != "" {
		r.dir = newDir(in(dir, cfg.MetricsDir))
	}
	for _, m := range cfg.Metrics {
		if cell, _ := r.memory.Get(m.Name); cell != nil {
			m.Path = in(dir, m.Path)
			r.added = append(r.added, added{Metric: m, cell: cell})
		}
	}
	for _, t := range cfg.MetricThresholds {
		r.thresholds = append(r.thresholds, threshold{MetricThreshold: t})
	}
}

// restore takes the value that the metric had when its file was written.
func (r *Registry) restore(from *Dir, name string, cell *shm.Metric) {
	switch value, err := from.read(name); {
	case err == nil:
		cell.Value.Store(value)
	case !os.IsNotExist(err):
		r.complain("metrics-dir-restore: %v", err)
	}
}

// Collect brings all metrics up to date with a snapshot, writes their files and looks at thresholds.
func (r *Registry) Collect(s *stats.Snapshot, now time.Time) {
	for _, m := range s.Metrics(r.detail) {
		if cell, _ := r.memory.Get(m.Name); cell != nil {
			cell.Value.Store(m.Value)
		}
	}
	for i := range r.added {
		if m := &r.added[i]; now.Sub(m.collected) >= m.Every {
			m.collected = now
			r.collect(m)
		}
	}
	s.Added = r.Added()
	r.writeFiles(s.Metrics(r.detail))
	for i := range r.thresholds {
		r.thresholds[i].check(r, now)
	}
}

// Save writes what the application has changed since the last Collect into the files.
func (r *Registry) Save() { r.writeFiles(r.Added()) }

func (r *Registry) writeFiles(all []stats.Metric) {
	if r.dir == nil {
		return
	}
	if err := r.dir.write(all); err != nil {
		r.complain("metrics-dir: %v", err)
	}
}

// Added are the metrics that the configuration adds, as they are now.
func (r *Registry) Added() (all []stats.Metric) {
	for _, m := range r.added {
		value := m.cell.Value.Load()
		if m.Kind == uwsgiopts.Alias {
			value = r.value(m.Of)
		}
		all = append(all, stats.Metric{Name: m.Name, OID: m.OID, Kind: m.Kind, Value: value})
	}
	return all
}

// Pushed is called when the metrics have been sent somewhere.
func (r *Registry) Pushed() {
	for _, m := range r.added {
		if m.Reset {
			m.cell.Value.Store(m.Initial)
		}
	}
}

// value is the number of any metric; 0: there is none of that name.
func (r *Registry) value(name string) int64 {
	if cell, isNew := r.memory.Get(name); cell != nil && !isNew {
		return cell.Value.Load()
	}
	return 0
}

// collect computes a metric that is not the application's to set.
func (r *Registry) collect(m *added) {
	sum := int64(0)
	for _, child := range m.Children {
		sum += r.value(child)
	}
	switch m.Collector {
	case "file":
		value, err := readNumber(m.Path)
		if err != nil {
			r.complain("metric %q: %v", m.Name, err)
			return
		}
		m.cell.Value.Store(value)
	case "sum":
		m.cell.Value.Store(sum)
	case "avg":
		m.cell.Value.Store(sum / int64(max(len(m.Children), 1)))
	case "accumulator":
		m.cell.Value.Add(sum)
	case "adder":
		m.cell.Value.Store(sum + m.Factor)
	case "multiplier":
		m.cell.Value.Store(sum * m.Factor)
	}
}

// check raises the alarm of a threshold that has been reached.
func (t *threshold) check(r *Registry, now time.Time) {
	value := r.value(t.Metric)
	if value < t.Value || t.Rate > 0 && now.Sub(t.raised) < t.Rate {
		return
	}
	t.raised = now
	if t.Alarm != "" {
		message := t.Message
		if message == "" {
			message = fmt.Sprintf("metric %s has reached %d (threshold %d)", t.Metric, value, t.Value)
		}
		r.host.Raise(t.Alarm, []byte(message))
	}
	if cell, isNew := r.memory.Get(t.Metric); t.Resets && cell != nil && !isNew {
		cell.Value.Store(t.Reset)
	}
}

// complain says what is wrong, once.
func (r *Registry) complain(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !r.told[text] {
		r.told[text] = true
		r.host.Logf("%s", text)
	}
}

// readNumber reads a number from the start of a file.
func readNumber(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	fields := strings.FieldsFunc(string(text), func(c rune) bool { return c <= ' ' })
	if len(fields) == 0 {
		return 0, fmt.Errorf("%s: no number in it", path)
	}
	value, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return value, nil
}
