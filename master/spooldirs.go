package master

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"envoxyd/internal/paths"
	"envoxyd/internal/workerspec"
	"envoxyd/master/privileges"
	"envoxyd/uwsgiopts"
)

// makeSpoolDirs makes the directories of jobs that are missing, each for the user whose processes write there.
func makeSpoolDirs(cfg *uwsgiopts.Config) error {
	for _, s := range cfg.Spoolers {
		if err := makeSpoolDir(cfg, s.Dir); err != nil {
			return fmt.Errorf("spooler: %w", err)
		}
	}
	return nil
}

func makeSpoolDir(cfg *uwsgiopts.Config, dir string) error {
	err := os.Mkdir(dir, 0o750)
	if errors.Is(err, fs.ErrExist) {
		found, err := os.Stat(dir)
		if err == nil && !found.IsDir() {
			err = fmt.Errorf("%s is not a directory", dir)
		}
		return err
	}
	if err != nil {
		return err
	}
	settings := privileges.Of(cfg)
	if !settings.Apply() {
		return nil
	}
	who, err := settings.Resolve()
	if err != nil {
		return err
	}
	return os.Lchown(dir, who.UID, who.GID)
}

// spoolerSpecs are the directories as zygote and workers know them, without descriptors.
func spoolerSpecs(cfg *uwsgiopts.Config) (specs []workerspec.Spooler) {
	for _, s := range cfg.Spoolers {
		dir, err := filepath.EvalSymlinks(s.Dir)
		if err != nil { // it is missing, which spool() will say
			dir = s.Dir
		}
		specs = append(specs, workerspec.Spooler{Dir: dir, Processes: s.Processes, External: s.External, WakeFD: -1})
	}
	return specs
}

func spoolingSpec(cfg *uwsgiopts.Config) workerspec.Spooling {
	spec := workerspec.Spooling{
		Ordered: cfg.SpoolerOrdered, FrequencySeconds: cfg.SpoolerFrequency, MaxTasks: cfg.SpoolerMaxTasks,
		HarakiriSeconds: int(cfg.SpoolerHarakiri / time.Second), Quiet: cfg.SpoolerQuiet, Imports: cfg.SpoolerImports,
		SignalAsTask: cfg.SpoolerSignalAsTask,
	}
	if cfg.SpoolerChdir != "" {
		spec.Chdir = paths.In(workDir(cfg), cfg.SpoolerChdir)
	}
	return spec
}
