package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A companion is a program of ours beside the workers: a gateway, a router. It is told what it is by a document, and talks with
// the master over a socket of packets, each of which is JSON.

// startCompanion starts a program of lib/envoxyd. Its descriptors are the document that spec makes, at firstFD, and extra
// behind it. The caller waits with wait.
func (c *commands) startCompanion(program string, spec any, extra []*os.File, dir string, credential *syscall.Credential) (*exec.Cmd, error) {
	lib, err := libDir()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	document, err := memoryFile(program+"-spec", text)
	if err != nil {
		return nil, err
	}
	defer document.Close()
	cmd := exec.Command(filepath.Join(lib, program), fmt.Sprint(firstFD))
	cmd.ExtraFiles = append([]*os.File{document}, extra...)
	cmd.Stdout, cmd.Stderr = c.stdio(strings.TrimPrefix(program, "envoxyd-"))
	cmd.Env, cmd.Dir = os.Environ(), dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential}
	if err := c.start(cmd); err != nil {
		return nil, fmt.Errorf("unable to start: %w", err)
	}
	return cmd, nil
}

// hear calls heard with each word of a companion's, on a goroutine that ends with the companion. longest is that of a word, in bytes.
func hear[E any](control *os.File, longest int, heard func(E)) {
	fd := int(control.Fd())
	go func() {
		buffer := make([]byte, longest)
		for {
			n, err := unix.Read(fd, buffer)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if n <= 0 {
				return
			}
			var e E
			if json.Unmarshal(buffer[:n], &e) == nil {
				heard(e)
			}
		}
	}()
}

// tell sends a companion an order, with descriptors. False: it has ended, or does not listen.
func tell(control *os.File, order any, fds ...int) bool {
	text, err := json.Marshal(order)
	if err != nil {
		return false
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(int(control.Fd()), text, rights, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT) == nil
}
