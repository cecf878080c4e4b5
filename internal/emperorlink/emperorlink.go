// Package emperorlink is the way between an emperor and its vassals: sockets that variables of the environment name, and words
// of a byte each. All of it is uWSGI's, so that either side may be one.
package emperorlink

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Variables of the environment that name a vassal's descriptors.
const (
	Variable       = "UWSGI_EMPEROR_FD"        // of the words
	ConfigVariable = "UWSGI_EMPEROR_FD_CONFIG" // of the configuration, where that is no file
)

// What an emperor says.
const (
	Stop           = 0
	Reload         = 1
	StopGracefully = 2
)

// What a vassal says.
const (
	Started   = 1  // it has read its configuration, and runs
	AskConfig = 2  // it wants the configuration that it was given once more
	Accepting = 5  // it accepts requests
	Loyal     = 17 // its application is loaded: it is not a broken one
	Idle      = 22 // nobody needs it: it is to end
	Heartbeat = 26
)

// Descriptor is the socket that a variable names; false: there is none.
func Descriptor(variable string) (fd int, ok bool) {
	fd, err := strconv.Atoi(os.Getenv(variable))
	if err != nil || fd < 3 {
		return -1, false
	}
	_, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return fd, err == nil
}

// Take is Descriptor for the one whose the socket is from now on: the variable goes, and what is started here does not inherit
// it. The file, which the caller closes, does not block; nil: there is none.
func Take(variable, name string) (link *os.File, fd int) {
	fd, ok := Descriptor(variable)
	os.Unsetenv(variable)
	if !ok {
		return nil, -1
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, -1
	}
	return os.NewFile(uintptr(fd), name), fd
}
