// Package scmrights takes descriptors out of messages on unix sockets (unix(7), SCM_RIGHTS).
package scmrights

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Room is how many bytes of control data a message with one descriptor may have.
const Room = 64

// ErrNone is returned for a message that came without exactly one descriptor.
var ErrNone = errors.New("no descriptor came with it")

// Descriptor is the one that control data hold; the caller owns it. ErrNone without one.
func Descriptor(control []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return -1, err
	}
	for i := range messages {
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	return -1, ErrNone
}
