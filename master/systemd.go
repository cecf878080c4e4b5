package master

import (
	"fmt"
	"os"
	"strconv"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// notify tells systemd, where it listens (sd_notify).
func notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		logf("systemd could not be notified: %v", err)
	}
}

func pidText() string { return strconv.Itoa(os.Getpid()) }

// monotonic is the time stamp that systemd wants with RELOADING=1.
func monotonic() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return ""
	}
	return fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000)
}
