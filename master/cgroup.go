package master

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"envoxyd/internal/paths"
	"envoxyd/uwsgiopts"
)

// joinCgroups puts this process, and with it all that it will start, into the control groups of
// --cgroup. Groups that are not there are made. A setting is for those of the groups that have it,
// since each hierarchy of the first version has settings of its own; one that none has is an error.
func joinCgroups(cfg *uwsgiopts.Config) error {
	set := map[string]bool{}
	for _, group := range cfg.Cgroups {
		dir := paths.In(cfg.StartDir, group)
		made, err := makeCgroup(dir, fs.FileMode(cfg.CgroupDirMode))
		if err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
		for _, option := range cfg.CgroupOpts { // some have to be there before a process is
			key, value, _ := strings.Cut(option, "=")
			switch err := writeExisting(filepath.Join(dir, key), value); {
			case err == nil:
				set[option] = true
				logf("set %s to %s", value, filepath.Join(dir, key))
			case !errors.Is(err, fs.ErrNotExist):
				return fmt.Errorf("cgroup-opt %s: %w", option, err)
			}
		}
		if err := joinCgroup(dir); err != nil {
			if made {
				_ = os.Remove(dir) // it may have got settings, and then it is a group
			}
			return err
		}
	}
	for _, option := range cfg.CgroupOpts {
		if !set[option] {
			return fmt.Errorf("cgroup-opt %s: none of the control groups (%s) has such a setting; in a version 2 hierarchy the controller has to be named in cgroup.subtree_control of the group above",
				option, strings.Join(cfg.Cgroups, ", "))
		}
	}
	return nil
}

// rejoinCgroups is joinCgroups for a reload: what has not changed is left alone, as privileges may have been dropped since.
func rejoinCgroups(before, cfg *uwsgiopts.Config) error {
	if slices.Equal(before.Cgroups, cfg.Cgroups) && slices.Equal(before.CgroupOpts, cfg.CgroupOpts) {
		return nil
	}
	return joinCgroups(cfg)
}

// makeCgroup makes the directory of a group, with that mode whatever the umask, unless it is there.
func makeCgroup(dir string, mode fs.FileMode) (made bool, err error) {
	if _, err := os.Stat(dir); err == nil {
		return false, nil
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return false, err
	}
	logf("created Linux cgroup %s with mode %o", dir, mode)
	return true, os.Chmod(dir, mode)
}

// joinCgroup moves this process into a group.
func joinCgroup(dir string) error {
	pid := strconv.Itoa(os.Getpid())
	err := writeExisting(filepath.Join(dir, "cgroup.procs"), pid)
	if errors.Is(err, fs.ErrNotExist) {
		err = writeExisting(filepath.Join(dir, "tasks"), pid)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cgroup %s: this is no control group: the directory is not in a hierarchy that is mounted below /sys/fs/cgroup", dir)
	case err != nil:
		return fmt.Errorf("cgroup %s: %w", dir, err)
	}
	logf("assigned process %s to cgroup %s", pid, dir)
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
