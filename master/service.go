package master

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/modules"
	"envoxyd/uwsgiopts"
)

// loadService reads envoxy.json where there is one, and says what there is to say of it.
func loadService(ctx context.Context, cfg *uwsgiopts.Config) (*modules.Service, error) {
	service, notice, err := readService(cfg)
	if notice != "" {
		logf("%s", notice)
	}
	if service != nil {
		for _, notice := range service.Notices {
			logf("%s", notice)
		}
	}
	if err == nil && service != nil {
		err = checkZeroMQ(ctx, service)
	}
	return service, err
}

// zeroMQTime is how long the ZeroMQ gateway may take to say which library it has.
const zeroMQTime = 10 * time.Second

// checkZeroMQ is the error of a service that uses ZeroMQ where its gateway does not run: that alone links libzmq,
// so that everything else runs without.
func checkZeroMQ(ctx context.Context, service *modules.Service) error {
	if !service.UsesZeroMQ() {
		return nil
	}
	lib, err := libDir()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, zeroMQTime)
	defer cancel()
	said, err := exec.CommandContext(ctx, filepath.Join(lib, zmqGateway.program), "--version").CombinedOutput()
	if err == nil {
		return nil
	}
	reason := err.Error()
	if _, missing, is := strings.Cut(string(said), "shared libraries: "); is {
		reason = strings.TrimSpace(missing)
	}
	return service.WithoutZeroMQ(fmt.Errorf("ZeroMQ needs libzmq, which does not load here (%s): install it (Debian, Ubuntu: apt install libzmq5; "+
		"Fedora: dnf install zeromq), or take the key out", reason))
}

// readService reads envoxy.json; nil: there is none to read. An application of the
// user's own may mean something else by conf, so for it the reason is only a notice.
func readService(cfg *uwsgiopts.Config) (service *modules.Service, notice string, err error) {
	if cfg.Conf == "" || !cfg.Profile && !namesBuiltinApp(cfg) { // under uwsgi's name conf is anybody's word
		return nil, "", nil
	}
	service, err = modules.Load(paths.In(workDir(cfg), cfg.Conf), os.Environ(), confOverrides(cfg)...)
	if err == nil {
		err = service.Locate(workDir(cfg))
	}
	if err != nil && !namesBuiltinApp(cfg) {
		return nil, fmt.Sprintf("conf is left to the application: %v", err), nil
	}
	return service, "", err
}

// unreadableService is why envoxy.json cannot be used at all.
type unreadableService struct{ error }

// bindOfService adds the socket that boot[0].http.bind of envoxy.json names, where the configuration names none and none is
// given: by systemd, or as standard input. root is the directory that becomes the root of the file system later; "": none does.
func bindOfService(cfg *uwsgiopts.Config, root string, given bool) error {
	if len(cfg.Sockets)+len(cfg.SharedSockets)+len(cfg.Zerg) > 0 || cfg.Conf == "" || !isService(cfg) || given {
		return nil
	}
	service, err := modules.Load(filepath.Join(root, paths.In(workDir(cfg), cfg.Conf)), os.Environ(), confOverrides(cfg)...)
	switch {
	case err != nil && namesBuiltinApp(cfg):
		return unreadableService{err}
	case err != nil: // conf may be the application's own
		return nil
	}
	address, err := service.HTTPAddress()
	if err != nil || address == "" {
		return err
	}
	cfg.ServeHTTP(address, uwsgiopts.Origin{Source: filepath.Base(cfg.Conf) + ": boot[0].http.bind"})
	return nil
}

// namesApplication: the configuration says what to load.
func namesApplication(cfg *uwsgiopts.Config) bool {
	return len(cfg.Modules)+len(cfg.Mounts) > 0 || cfg.WSGIFile != "" || cfg.Eval != "" || cfg.Paste != "" || cfg.Pecan != "" || len(cfg.WorkerMounts) > 0
}

// isService: what is served may use the gateways.
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
