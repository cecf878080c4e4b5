package worker

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
)

// someBudgets are those of the first of two workers.
func someBudgets(t *testing.T, limits workerspec.Limits) *budgets {
	t.Helper()
	board, err := shm.NewBoard(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = board.Close() })
	return newBudgets(&limits, board, 1)
}

func TestBodiesKeepToTheirBudgets(t *testing.T) {
	for name, c := range map[string]struct {
		limits workerspec.Limits
		others int64 // in files of the other worker's
		sizes  []int // of bodies that are there at the same time, in pieces of 10
		status int   // of the last one; 0: it fits
		inFile bool  // the last one
	}{
		"in memory":                 {workerspec.Limits{BodyMemory: 100}, 0, []int{50, 50}, 0, false},
		"memory is spent":           {workerspec.Limits{BodyMemory: 100}, 0, []int{60, 50}, 0, true},
		"files are spent":           {workerspec.Limits{BodyFiles: 3000}, 0, []int{2000, 2000}, 503, true},
		"it never fits":             {workerspec.Limits{BodyFiles: 3000}, 0, []int{3010}, 413, true},
		"no limits":                 {workerspec.Limits{}, 1 << 40, []int{50, 2000}, 0, true},
		"others have taken it":      {workerspec.Limits{BodyFilesTotal: 3000}, 2000, []int{2000}, 503, true},
		"others have left the rest": {workerspec.Limits{BodyFilesTotal: 3000}, 1000, []int{2000}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := &Worker{budgets: someBudgets(t, c.limits)}
			w.spec.Limits.PostBuffering = 1000
			w.spool = spool{dir: t.TempDir(), open: []func(string) (*os.File, error){openUnnamed, openUnlinked}}
			w.budgets.board.Core(2, 0).Spooled.Store(c.others)
			var err error
			var all []*body
			for _, size := range c.sizes {
				b := w.newBody(0)
				all = append(all, b)
				for n := 0; n < size && err == nil; n += 10 {
					_, err = b.Write(make([]byte, 10))
				}
			}
			status := 0
			if failed := (*errSpool)(nil); errors.As(err, &failed) {
				status = failed.refusal().Status
			}
			if last := all[len(all)-1]; status != c.status || (last.file != nil) != c.inFile {
				t.Errorf("status %d (%v), in a file: %v", status, err, last.file != nil)
			}
			for _, b := range all {
				b.free()
			}
			for _, one := range []*budget{&w.budgets.bodies, &w.budgets.spooled} {
				if left := one.used.Load(); left != 0 || w.budgets.line.Spooled.Load() != 0 {
					t.Errorf("%s: %d bytes are still counted", one.option, left)
				}
			}
		})
	}
}

func TestWhereALargeBodyGoes(t *testing.T) {
	fails := func(errno syscall.Errno) func(string) (*os.File, error) {
		return func(dir string) (*os.File, error) { return nil, &os.PathError{Op: "file in", Path: dir, Err: errno} }
	}
	for name, c := range map[string]struct {
		open   []func(string) (*os.File, error)
		warned bool
		err    error
	}{
		"without a name":           {[]func(string) (*os.File, error){openUnnamed, fails(syscall.EIO), fails(syscall.EIO)}, false, nil},
		"no such files: unlinked":  {[]func(string) (*os.File, error){fails(syscall.EOPNOTSUPP), openUnlinked, fails(syscall.EIO)}, false, nil},
		"old kernel: unlinked":     {[]func(string) (*os.File, error){fails(syscall.EISDIR), openUnlinked, fails(syscall.EIO)}, false, nil},
		"read-only: memory":        {[]func(string) (*os.File, error){fails(syscall.EROFS), fails(syscall.EROFS), openMemory}, true, nil},
		"full: not in memory":      {[]func(string) (*os.File, error){fails(syscall.EOPNOTSUPP), fails(syscall.ENOSPC), openMemory}, false, syscall.ENOSPC},
		"no descriptors are left":  {[]func(string) (*os.File, error){fails(syscall.EMFILE), openUnlinked, openMemory}, false, syscall.EMFILE},
		"nothing of all is usable": {[]func(string) (*os.File, error){fails(syscall.EROFS), fails(syscall.EROFS), fails(syscall.ENOSYS)}, false, syscall.ENOSYS},
	} {
		t.Run(name, func(t *testing.T) {
			warned := false
			b := &body{limit: 4, budgets: someBudgets(t, workerspec.Limits{}), spool: &spool{dir: t.TempDir(), open: c.open, warn: func(error) { warned = true }}}
			var err error
			for _, piece := range []string{"abc", "def", strings.Repeat("g", 100_000)} {
				if _, err = b.Write([]byte(piece)); err != nil {
					break
				}
			}
			defer b.free()
			if warned != c.warned || !errors.Is(err, c.err) {
				t.Fatalf("warned %v, error %v; want %v, %v", warned, err, c.warned, c.err)
			}
			if names, _ := os.ReadDir(b.spool.dir); len(names) > 0 {
				t.Fatalf("the directory holds %v", names)
			}
			if err != nil {
				if b.size != 3 {
					t.Fatalf("size %d, want what was kept", b.size)
				}
				return
			}
			data, err := io.ReadAll(io.NewSectionReader(b.file, 0, 1<<20))
			if err != nil || !slices.Equal(data[:6], []byte("abcdef")) || int64(len(data)) != b.size || b.size != 100_006 {
				t.Fatalf("%d bytes in the file, size %d, %v", len(data), b.size, err)
			}
		})
	}
}

func TestABodyOfWhichAPartWasWritten(t *testing.T) {
	reader, writer, err := os.Pipe() // a file that fails, as a full disk does
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	b := &body{limit: 4, budgets: someBudgets(t, workerspec.Limits{}), spool: &spool{open: []func(string) (*os.File, error){func(string) (*os.File, error) { return writer, nil }, openMemory}}}
	defer b.free()
	_, err = b.Write([]byte("abcdef"))
	failed := (*errSpool)(nil)
	if !errors.As(err, &failed) || failed.refusal().Status != 500 || b.size != 0 {
		t.Fatalf("%v, size %d", err, b.size)
	}
	if got := (&errSpool{&os.PathError{Op: "write", Err: syscall.EDQUOT}}).refusal().Status; got != 507 {
		t.Fatalf("status %d for no room, want 507", got)
	}
}
