package emperor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/emperorlink"
	"envoxyd/internal/respawn"
	"envoxyd/uwsgiopts"
)

// vassal is one configuration, and the process that runs it.
type vassal struct {
	Instance
	source  source
	attrs   map[string]string
	backoff respawn.Backoff

	cmd       *exec.Cmd // nil: there is no process
	link      *os.File  // to it
	config    *os.File  // to it, for a configuration that is given; nil: that is none
	giving    bool      // something writes to config
	owed      bool      // the configuration is to be given once more
	listener  *os.File  // of an instance on demand
	opened    string    // the address of listener
	waiting   bool      // on demand: for a connection
	preparing bool      // hooks run before its process is started
	// stopAwait ends the wait for a connection; nil: nothing waits.
	stopAwait context.CancelFunc
	idle      bool // it has asked to end, since nobody needs it

	born, ready, accepting, loyal, heartbeat, lastRun, firstRun time.Time
	cursed                                                      time.Time // when it was told to end; zero: it was not
	removed                                                     bool      // its configuration has gone
	retry                                                       time.Time // when it is started again; zero: it is not to be
	starts                                                      int
	failed                                                      bool // it has ended without having been loyal
}

// pid is the process's; 0: there is none.
func (v *vassal) pid() int {
	if v.cmd == nil {
		return 0
	}
	return v.cmd.Process.Pid
}

// command is how the instance is started.
func (v *vassal) command(cfg *uwsgiopts.EmperorConfig, self string) *exec.Cmd {
	program := self
	if cfg.EmperorWrapper != "" {
		program = cfg.EmperorWrapper
	}
	if wrapper := v.attrs[cfg.WrapperAttribute]; cfg.WrapperAttribute != "" && wrapper != "" {
		program = wrapper
	}
	var before, after []string
	for _, o := range cfg.VassalOptions {
		if o.Before {
			before = append(before, "--"+o.Name, o.Value)
		} else {
			after = append(after, "--"+o.Name, o.Value)
		}
	}
	name := v.ID
	switch {
	case v.Runs:
		name = "exec://" + v.Path
	case v.Given:
		name = "emperor://" + v.ID
	}
	args := append(before, "--"+option(cfg, v.ID), name)
	cmd := exec.Command(program, append(args, after...)...)
	cmd.Dir = v.source.Dir()
	if dir := v.attrs[cfg.ChdirAttribute]; cfg.ChdirAttribute != "" && dir != "" {
		cmd.Dir = dir
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); !emperorsOwn(name) {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, emperorlink.Variable+"=3")
	if v.Given {
		cmd.Env = append(cmd.Env, emperorlink.ConfigVariable+"=4")
	}
	if dir := v.source.Watched(); dir != "" {
		cmd.Env = append(cmd.Env, "UWSGI_VASSALS_DIR="+dir)
	}
	return cmd
}

// emperorsOwn tells whether a variable of the environment is for the emperor, and not for its instances: as options they would
// make emperors of those.
func emperorsOwn(name string) bool {
	return name == "NOTIFY_SOCKET" || strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "UWSGI_EMPEROR") ||
		strings.HasPrefix(name, "UWSGI_VASSAL") || strings.HasPrefix(name, uwsgiopts.PlaceVariable)
}

// credential is who the instance runs as; an error: it must not run.
func (v *vassal) credential(cfg *uwsgiopts.EmperorConfig) (*syscall.Credential, error) {
	if !cfg.EmperorTyrant {
		return nil, nil
	}
	if v.UID == 0 || v.GID == 0 {
		why := "its file belongs to root"
		if v.Given {
			why = "its row has no uid and gid, or root's"
		}
		return nil, fmt.Errorf("[emperor-tyrant] invalid permissions for vassal %s: %s", v.ID, why)
	}
	who := &syscall.Credential{Uid: v.UID, Gid: v.GID}
	if !cfg.TyrantInitgroups {
		return who, nil
	}
	account, err := user.LookupId(strconv.Itoa(int(v.UID)))
	if err != nil {
		return nil, fmt.Errorf("[emperor-tyrant] vassal %s: %w", v.ID, err)
	}
	ids, err := account.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("[emperor-tyrant] vassal %s: %w", v.ID, err)
	}
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			who.Groups = append(who.Groups, uint32(n))
		}
	}
	return who, nil
}

// start starts the process. The caller waits for it.
func (v *vassal) start(cfg *uwsgiopts.EmperorConfig, self string, now time.Time) error {
	who, err := v.credential(cfg)
	if err != nil {
		return err
	}
	link, theirs, err := socketPair("emperor")
	if err != nil {
		return err
	}
	defer theirs.Close()
	cmd := v.command(cfg, self)
	cmd.ExtraFiles = []*os.File{theirs}
	var config *os.File
	if v.Given {
		if config, theirs, err = socketPair("configuration"); err != nil {
			link.Close()
			return err
		}
		defer theirs.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: who}
	if v.listener != nil {
		cmd.Stdin = v.listener
	}
	if err := cmd.Start(); err != nil {
		link.Close()
		if config != nil {
			config.Close()
		}
		return fmt.Errorf("[emperor] vassal %s: %w", v.ID, err)
	}
	v.cmd, v.link, v.config, v.giving, v.owed = cmd, link, config, false, false
	v.starts++
	v.lastRun, v.cursed, v.retry, v.idle = now, time.Time{}, time.Time{}, false
	v.ready, v.accepting, v.loyal, v.heartbeat = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	if v.firstRun.IsZero() {
		v.firstRun = now
	}
	return nil
}

// socketPair is the emperor's end of a way to a vassal, and the vassal's.
func socketPair(name string) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	_ = unix.SetNonblock(fds[0], true)
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

// say tells the process something; that it has gone is no error here.
func (v *vassal) say(word byte) {
	if v.link != nil {
		_, _ = v.link.Write([]byte{word})
	}
}

// kill kills the process and its group, which has its workers.
func (v *vassal) kill() {
	if v.cmd != nil {
		_ = unix.Kill(-v.pid(), unix.SIGKILL) // it may have ended
	}
}

// closeFiles closes what belongs to the vassal.
func (v *vassal) closeFiles(cfg *uwsgiopts.EmperorConfig) {
	v.closeListener(cfg)
	v.closeLinks()
}

// closeLinks closes the ways to the process.
func (v *vassal) closeLinks() {
	for _, file := range []**os.File{&v.link, &v.config} {
		if *file != nil {
			(*file).Close()
			*file = nil
		}
	}
}
