// Package resources holds the memory that outlives a generation of workers. The master
// makes it once, each zygote inherits it, reloads keep it, and an upgrade hands it over.
package resources

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// keyPrefix begins the names under which an upgrade passes resources.
const keyPrefix = "resource:"

// Resources are all of them. The files stay open as long as the process lives, or until Close.
type Resources struct {
	// Locks is the memory of uwsgi.lock()'s locks and of those of shared areas: see internal/shm.
	Locks *os.File

	memory    map[string]*os.File // by key: see Memory
	claims    map[string]*os.File // of stores
	inherited func(key string) int
}

// all names the resources, for what is done to each.
func (r *Resources) all() map[string]**os.File {
	return map[string]**os.File{"locks": &r.Locks}
}

// Open takes over what inherited has under a key, and makes the rest. inherited returns
// descriptors, which are the caller's no more, or -1. It is asked by Get, too.
func Open(inherited func(key string) int) (*Resources, error) {
	r := &Resources{memory: map[string]*os.File{}, claims: map[string]*os.File{}, inherited: inherited}
	for name, file := range r.all() {
		fd := inherited(keyPrefix + name)
		if fd < 0 {
			var err error
			if fd, err = unix.MemfdCreate("envoxyd-"+name, unix.MFD_CLOEXEC); err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", name, err), r.Close())
			}
		}
		*file = os.NewFile(uintptr(fd), name)
	}
	return r, nil
}

// Passed is what an upgrade hands over, by key. The descriptors stay r's.
func (r *Resources) Passed() map[string]int {
	passed := map[string]int{}
	for name, file := range r.all() {
		passed[keyPrefix+name] = int((*file).Fd())
	}
	for key, file := range r.memory {
		passed[keyPrefix+key] = int(file.Fd())
	}
	return passed
}

// Close closes those that are open.
func (r *Resources) Close() error {
	errs := []error{r.Keep(nil)}
	for _, file := range r.all() {
		if *file != nil {
			errs = append(errs, (*file).Close())
		}
	}
	return errors.Join(errs...)
}
