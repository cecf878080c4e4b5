package master

import (
	"os"

	"envoxyd/uwsgiopts"
)

// Load is a start with --no-server: it runs the hooks and imports the application as Run does, and ends. There may be
// an instance of the same configuration: its sockets, pidfiles, pipes, locks and stores are left alone.
func Load(cfg *uwsgiopts.Config) int {
	one := *cfg
	one.LazyApps, one.Lazy = false, false // there is no worker that could load it
	one.Vacuum = false
	one.FSReload, one.FSBrutalReload = nil, nil
	if one.ShowConfig && (cfg.LogPlace() != "" || len(cfg.Loggers) > 0) && os.Getenv(daemonVariable) == "" {
		// The log has it too, but it was asked for here.
		if err := cfg.WriteShowConfig(os.Stdout); err != nil {
			logf("show-config: %v", err)
			return statusFailed
		}
	}
	return Run(&one, func() (*uwsgiopts.Config, error) { return &one, nil })
}

// NamesApplication tells whether the configuration says what to import.
func NamesApplication(cfg *uwsgiopts.Config) bool { return namesApplication(cfg) || isService(cfg) }

// leaveLoaded ends a start with --no-server.
func (g *generation) leaveLoaded(m *master, err error) {
	switch {
	case g.draining || m.life.stopping:
	case err != nil:
		logf("%v", err)
		m.generationFailed(g, hookStatus(err))
	default:
		logf("no-server mode requested. Goodbye.")
		m.drainAll()
	}
}
