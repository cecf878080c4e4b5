package master

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"envoxyd/internal/paths"
	"envoxyd/modules"
	"envoxyd/uwsgiopts"
)

// loadService reads envoxy.json where there is one, and says what there is to say of it.
func loadService(cfg *uwsgiopts.Config) (*modules.Service, error) {
	service, notice, err := readService(cfg)
	if notice != "" {
		logf("%s", notice)
	}
	if service != nil {
		for _, notice := range service.Notices {
			logf("%s", notice)
		}
	}
	return service, err
}

// readService reads envoxy.json; nil: there is none to read. An application of the
// user's own may mean something else by conf, so for it the reason is only a notice.
func readService(cfg *uwsgiopts.Config) (service *modules.Service, notice string, err error) {
	if cfg.Conf == "" || !cfg.Profile && !namesBuiltinApp(cfg) { // under uwsgi's name conf is anybody's word
		return nil, "", nil
	}
	service, err = modules.Load(paths.In(workDir(cfg), cfg.Conf), os.Environ(), confOverrides(cfg)...)
	if err != nil && !namesBuiltinApp(cfg) {
		return nil, fmt.Sprintf("conf is left to the application: %v", err), nil
	}
	return service, "", err
}

// namesApplication: the configuration says what to load.
func namesApplication(cfg *uwsgiopts.Config) bool {
	return len(cfg.Modules)+len(cfg.Mounts) > 0 || cfg.WSGIFile != "" || cfg.Eval != "" || cfg.Paste != ""
}

// isService: what is served may use the event gateway.
func isService(cfg *uwsgiopts.Config) bool { return cfg.Profile || namesBuiltinApp(cfg) }

func namesBuiltinApp(cfg *uwsgiopts.Config) bool {
	return slices.Contains(cfg.Modules, "run:app") || slices.Contains(cfg.Modules, "envoxyd.run:app")
}

// confOverrides are the --set conf.KEY=VALUE of the command line.
func confOverrides(cfg *uwsgiopts.Config) (overrides []string) {
	for _, p := range cfg.Pairs {
		if strings.HasPrefix(p.Name, "conf.") {
			overrides = append(overrides, p.Name+"="+p.Value)
		}
	}
	return overrides
}
