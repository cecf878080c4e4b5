package master

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

// checkRRDTool says why metrics cannot be kept as --rrdtool wants.
func checkRRDTool(cfg *uwsgiopts.Config) error {
	if len(cfg.RRDTool) == 0 {
		return nil
	}
	if _, err := exec.LookPath(stats.RRDProgram); err != nil {
		return fmt.Errorf("option \"rrdtool\": the program %s is not on PATH: install it (Debian, Ubuntu: apt install rrdtool)", stats.RRDProgram)
	}
	for _, name := range cfg.RRDTool {
		dir := paths.In(workDir(cfg), name)
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = unix.ENOTDIR
		}
		if err == nil {
			err = unix.Access(dir, unix.W_OK|unix.X_OK)
		}
		if err != nil {
			return fmt.Errorf("option \"rrdtool\": the directory %s: %w", dir, reasonAlone(err))
		}
	}
	return nil
}

// WriteZabbixTemplate writes a template with the metrics that an instance of this configuration has.
func WriteZabbixTemplate(w io.Writer, cfg *uwsgiopts.Config) error {
	snapshot := &stats.Snapshot{Sockets: make([]stats.Socket, len(cfg.Sockets))}
	for id := 1; id <= cfg.Processes; id++ {
		worker := stats.Worker{ID: id}
		for core := range cfg.Cores() {
			worker.Cores = append(worker.Cores, stats.Core{ID: core})
		}
		snapshot.Workers = append(snapshot.Workers, worker)
	}
	for _, m := range cfg.Metrics {
		snapshot.Added = append(snapshot.Added, stats.Metric{Name: m.Name, OID: m.OID, Kind: m.Kind})
	}
	prefix := "uwsgi"
	for _, push := range cfg.Pushes {
		if push.Kind == "zabbix" {
			prefix = push.Prefix
		}
	}
	return stats.WriteZabbixTemplate(w, prefix, snapshot.Metrics(stats.MetricsDetail{Workers: true, Cores: !cfg.MetricsNoCores}))
}
