package master

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/shm"
	"envoxyd/uwsgiopts"
)

// banner is what a start says first.
func banner(cfg *uwsgiopts.Config, started time.Time) {
	logf("*** Starting uWSGI %s (%dbit) on [%s] ***", uwsgiopts.Version, 32<<(^uint(0)>>63), started.Format(time.ANSIC))
	logf("envoxyd with %s", runtime.Version())
	logMachine()
	logf("current working directory: %s", cfg.StartDir)
	if path, err := os.Executable(); err == nil {
		logf("detected binary path: %s", path)
	}
	logf("detected number of CPU cores: %d", runtime.NumCPU())
	if os.Geteuid() == 0 && cfg.UID == "" {
		logf("*** WARNING: you are running uWSGI as root !!! (use the --uid flag) ***")
	}
}

// logMachine says where this runs, and within which limits.
func logMachine() {
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		text := unix.ByteSliceToString
		logf("os: %s-%s %s", text(name.Sysname[:]), text(name.Release[:]), text(name.Version[:]))
		logf("nodename: %s", text(name.Nodename[:]))
		logf("machine: %s", text(name.Machine[:]))
	}
	logf("your memory page size is %d bytes", os.Getpagesize())
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NPROC, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
		logf("your processes number limit is %d", limit.Cur)
	}
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		logf("detected max file descriptor number: %d", limit.Cur)
	}
}

// logMode says how the cores are spread.
func logMode(cfg *uwsgiopts.Config) {
	mode := "single process"
	switch {
	case cfg.OnlySupervises() && !namesApplication(cfg):
		mode = "no-workers"
	case cfg.Processes > 1 && cfg.Loop != "":
		mode = "preforking+async"
	case cfg.Loop != "":
		mode = "async"
	case cfg.Processes > 1 && cfg.Threads > 1:
		mode = "preforking+threaded"
	case cfg.Processes > 1:
		mode = "preforking"
	case cfg.Threads > 1:
		mode = "threaded"
	}
	logf("*** Operational MODE: %s ***", mode)
	logf("your server socket listen backlog is limited to %d connections", cfg.Listen)
	logf("your mercy for graceful operations on workers is %d seconds", cfg.WorkerReloadMercy/time.Second)
	logf("your request buffer size is %d bytes", cfg.BufferSize)
	logf("mapped %s for %d cores", fmt.Sprint(cfg.Processes*cfg.Cores()*shm.CoreSize, " bytes"), cfg.Processes*cfg.Cores())
}
