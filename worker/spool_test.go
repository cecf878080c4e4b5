package worker

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

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
			b := &body{limit: 4, spool: &spool{dir: t.TempDir(), open: c.open, warn: func(error) { warned = true }}}
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
	b := &body{limit: 4, spool: &spool{open: []func(string) (*os.File, error){func(string) (*os.File, error) { return writer, nil }, openMemory}}}
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
