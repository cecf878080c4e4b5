package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

// act carries out ACTION:ARGUMENT.
func (r *run) act(ctx context.Context, text string) error {
	name, argument, ok := strings.Cut(text, ":")
	if !ok {
		return fmt.Errorf("invalid hook %q: ACTION:ARGUMENT is needed", text)
	}
	if w, is := waits[name]; is {
		return r.await(ctx, w, argument)
	}
	file, rest, more := strings.Cut(argument, " ")
	switch name {
	case "exec":
		return r.host.Run(ctx, argument, r.dir)
	case "safeexec":
		if err := r.host.Run(ctx, argument, r.dir); err != nil {
			r.host.Logf("%v", err)
		}
		return nil
	case "cd", "chdir":
		return r.changeDir(argument)
	case "putenv":
		key, value, _ := strings.Cut(argument, "=")
		return os.Setenv(key, value)
	case "print", "log":
		r.host.Logf("%s", argument)
		return nil
	case "exit":
		status, err := strconv.Atoi(argument)
		if argument != "" && err != nil {
			return fmt.Errorf("exit: %w", err)
		}
		return Exit{status}
	case "unix_signal":
		return r.mapSignal(argument)
	case "mount":
		return r.mount(argument)
	case "umount":
		return r.umount(argument)
	case "file-write":
		return r.writeLine(argument)
	case "mkdir":
		return os.Mkdir(r.path(argument), 0o777)
	case "unlink":
		return os.Remove(r.path(argument))
	case "create", "creat":
		return r.write(argument, "", os.O_TRUNC|os.O_CREATE)
	case "writen", "appendn":
		rest += "\n"
	case "write", "append", "writefifo", "chmod", "chown", "alarm":
		if !more {
			return fmt.Errorf("%s: %q has no second part", name, argument)
		}
	}
	switch name {
	case "write", "writen":
		return r.write(file, rest, os.O_TRUNC|os.O_CREATE)
	case "append", "appendn":
		return r.write(file, rest, os.O_APPEND|os.O_CREATE)
	case "writefifo":
		return r.write(file, rest, unix.O_NONBLOCK)
	case "chmod":
		mode, err := strconv.ParseUint(rest, 8, 12)
		if err != nil {
			return fmt.Errorf("chmod: %w", err)
		}
		return unix.Chmod(r.path(file), uint32(mode)) // os.Chmod has bits of its own above 0777
	case "chown":
		return r.chown(file, rest)
	case "alarm":
		r.host.Raise(file, []byte(rest))
		return nil
	}
	return fmt.Errorf("hook action not found: %s", name)
}

func (r *run) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.dir, name)
}

func (r *run) changeDir(name string) error {
	dir := r.path(name)
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "chdir", Path: dir, Err: unix.ENOTDIR}
	}
	r.dir = dir
	r.move(dir)
	return nil
}

func (r *run) write(name, text string, flags int) error {
	file, err := os.OpenFile(r.path(name), os.O_WRONLY|flags, 0o666)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// writeLine takes FILE=TEXT.
func (r *run) writeLine(argument string) error {
	file, text, ok := strings.Cut(argument, "=")
	if !ok {
		return fmt.Errorf("file-write: %q is not FILE=TEXT", argument)
	}
	return r.write(file, text+"\n", os.O_TRUNC|os.O_CREATE)
}

// chown takes OWNER, OWNER:GROUP or OWNER GROUP, as names or numbers.
func (r *run) chown(file, owner string) error {
	name, group, _ := strings.Cut(strings.Replace(owner, " ", ":", 1), ":")
	uid, gid := -1, -1
	var err error
	if name != "" {
		if uid, err = uwsgiopts.LookupUID(name); err != nil {
			return err
		}
	}
	if group != "" {
		if gid, err = uwsgiopts.LookupGID(group); err != nil {
			return err
		}
	}
	return os.Chown(r.path(file), uid, gid)
}

// mapSignal takes NUMBER FUNCTION, with the names that uWSGI's functions have.
func (r *run) mapSignal(argument string) error {
	number, name, _ := strings.Cut(argument, " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("unix_signal: %w", err)
	}
	switch name {
	case "gracefully_kill_them_all", "kill_them_all", "grace_them_all", "reap_them_all", "uwsgi_chain_reload":
		r.host.Map(syscall.Signal(n), name)
		return nil
	}
	return fmt.Errorf("unix_signal: there is no function %q", name)
}
