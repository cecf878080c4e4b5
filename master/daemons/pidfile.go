package daemons

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// running is the live process that the daemon's pidfile names; 0: there is none.
//
// Where the daemon runs as somebody else, the file is his to write: a process that is not his is
// not believed, lest he have us signal whom he likes.
func (s *Smart) running(d *smartDaemon) (int, error) {
	pid, err := d.named()
	if pid == 0 || err != nil || d.UID == "" {
		return pid, err
	}
	who, err := s.host.Credential(d.UID, d.GID)
	if err != nil {
		return 0, fmt.Errorf("attach-daemon2: %w", err)
	}
	if uid, known := owner(pid); who.Uid != 0 && known && uid != who.Uid {
		return 0, nil
	}
	return pid, nil
}

// named is the live process whose number is in the pidfile; 0: there is none.
func (d *smartDaemon) named() (int, error) {
	text, err := os.ReadFile(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil { // it may run: a second one would be in its way
		return 0, fmt.Errorf("cannot be found: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 1 || !lives(pid) {
		return 0, nil
	}
	return pid, nil
}

// lives tells whether a process runs; a zombie does not.
func lives(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil { // it has ended, or is hidden from us (hidepid)
		err := syscall.Kill(pid, 0)
		return err == nil || errors.Is(err, syscall.EPERM)
	}
	state := bytes.TrimLeft(stat[bytes.LastIndexByte(stat, ')')+1:], " ")
	return !bytes.HasPrefix(state, []byte("Z")) && !bytes.HasPrefix(state, []byte("X"))
}

// owner is the effective user of a process.
func owner(pid int) (uid uint32, known bool) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, false
	}
	_, line, _ := strings.Cut(string(status), "\nUid:")
	var real uint32
	_, err = fmt.Sscan(line, &real, &uid)
	return uid, err == nil
}
