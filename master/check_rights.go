package master

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"envoxyd/master/privileges"
	"envoxyd/uwsgiopts"
)

// runAs calls f on a thread of its own that is who, so that the kernel itself says what who may do. Credentials belong
// to threads: the system calls here are raw ones, which leave the other threads alone. f has to stay on its goroutine.
func runAs(who privileges.Identity, f func()) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and nobody else runs on it
		err := becomeOnThisThread(who)
		if err == nil {
			f()
		}
		done <- err
	}()
	return <-done
}

func becomeOnThisThread(who privileges.Identity) error {
	if err := unix.Setgroups(who.Groups); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	for _, change := range []struct {
		name string
		trap uintptr
		id   int
	}{{"setresgid", unix.SYS_SETRESGID, who.GID}, {"setresuid", unix.SYS_SETRESUID, who.UID}} {
		id := uintptr(change.id)
		if _, _, errno := unix.RawSyscall(change.trap, id, id, id); errno != 0 {
			return os.NewSyscallError(change.name, errno)
		}
	}
	return nil
}

// asWorker calls f with the rights of the workers, which --uid, --gid and --add-gid name.
func (c *checker) asWorker(f func()) {
	settings := privileges.Of(c.cfg)
	if !settings.Apply() {
		f()
		return
	}
	who, err := settings.Resolve()
	if err != nil { // reported by users, or when the option was read
		return
	}
	if err := runAs(who, f); err != nil {
		c.wrong(uwsgiopts.Origin{}, "uid %d, gid %d: %v", who.UID, who.GID, err)
	}
}

// asMaster calls f with the rights that the master has once it has dropped its own.
func (c *checker) asMaster(f func()) {
	if c.cfg.MasterAsRoot {
		f()
		return
	}
	c.asWorker(f)
}

// writable: the user of this thread may make the file, or write the one that is there.
func (c *checker) writable(where uwsgiopts.Origin, option, path string) bool {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		c.wrong(where, "%s %s: it is a directory", option, path)
		return false
	}
	if err := mayWrite(path); err != nil {
		c.wrong(where, "%s %s: %v", option, path, err)
		return false
	}
	return true
}

// mayWrite says why the user of this thread may neither write a file nor make it.
func mayWrite(path string) error {
	if _, err := os.Stat(path); err == nil {
		if err := unix.Access(path, unix.W_OK); err != nil {
			return reasonAlone(err)
		}
		return nil
	}
	return mayMake(path)
}

// mayMake says why the user of this thread may not make or remove a file of that name.
func mayMake(path string) error {
	if err := unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("its directory: %w", reasonAlone(err))
	}
	return nil
}

// removable notes a unix socket that a privileged start binds, and that the service cannot remove or bind again.
func (c *checker) removable(where uwsgiopts.Origin, path string) {
	c.asMaster(func() {
		if err := mayMake(path); err != nil {
			c.note(where, "socket %s: it is bound while still privileged; the service itself may not remove or bind it again: %v", path, err)
		}
	})
}
