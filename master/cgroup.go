package master

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// joinCgroups puts this process, and with it all that it will start, into the
// control groups of --cgroup. Groups that are not there are made.
func joinCgroups(cfg *uwsgiopts.Config) error {
	for _, group := range cfg.Cgroups {
		dir := paths.In(cfg.StartDir, group)
		if err := os.MkdirAll(dir, fs.FileMode(cfg.CgroupDirMode)); err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
		for _, option := range cfg.CgroupOpts {
			key, value, _ := strings.Cut(option, "=")
			if err := writeExisting(filepath.Join(dir, key), value); err != nil {
				return fmt.Errorf("cgroup-opt %s: %w", option, err)
			}
		}
		pid := strconv.Itoa(os.Getpid())
		err := writeExisting(filepath.Join(dir, "cgroup.procs"), pid)
		if os.IsNotExist(err) {
			err = writeExisting(filepath.Join(dir, "tasks"), pid)
		}
		if err != nil {
			return fmt.Errorf("cgroup %s: %w", group, err)
		}
		logf("assigned process %s to cgroup %s", pid, group)
	}
	return nil
}

// writeExisting writes to a file that the kernel has made.
func writeExisting(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text + "\n")
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}
