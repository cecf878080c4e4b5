package logging

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// logTo is a log file in a folder of its own, and what it has said.
func logTo(t *testing.T, change func(o *FileOptions)) (f *file, said *[]string) {
	t.Helper()
	o := FileOptions{Dir: t.TempDir(), Path: "x.log", Mode: -1, UID: -1, GID: -1}
	if change != nil {
		change(&o)
	}
	said = &[]string{}
	f, err := newFile(o, func(format string, args ...any) { *said = append(*said, fmt.Sprintf(format, args...)) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.close() })
	return f, said
}

func (f *file) put(t *testing.T, records ...string) {
	t.Helper()
	var b batch
	for _, r := range records {
		b.add([]byte(r))
	}
	if lost, err := f.write(&b); lost > 0 || err != nil {
		t.Fatalf("lost %d: %v", lost, err)
	}
}

func (f *file) text(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAFileIsAppendedToWithItsMode(t *testing.T) {
	for mode, want := range map[int]os.FileMode{-1: 0o640, 0o644: 0o644, 0o600: 0o600} {
		f, _ := logTo(t, func(o *FileOptions) {
			o.Mode = mode
			if err := os.WriteFile(filepath.Join(o.Dir, o.Path), []byte("before\n"), 0o640); err != nil {
				t.Fatal(err)
			}
		})
		f.put(t, "a\n", "b\n")
		info, err := f.handle.Stat()
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("mode %v, want %v: %v", info.Mode().Perm(), want, err)
		}
		if text := f.text(t, "x.log"); text != "before\na\nb\n" || f.size != int64(len(text)) {
			t.Errorf("%q, size %d", text, f.size)
		}
	}
}

func TestRotationGoesOnInAnEmptyFile(t *testing.T) {
	f, said := logTo(t, func(o *FileOptions) { o.MaxSize = 10 })
	f.put(t, "ten bytes\n")
	f.tend(someTime)
	if f.size != 10 {
		t.Fatal("rotated, though it is not larger")
	}
	f.put(t, "more\n")
	f.tend(someTime)
	f.put(t, "after\n")
	backup := "x.log.1795393908"
	if f.text(t, backup) != "ten bytes\nmore\n" || f.text(t, "x.log") != "after\n" || f.size != 6 {
		t.Fatalf("%q, %q", f.text(t, backup), f.text(t, "x.log"))
	}
	if want := "Mon Nov 23 00:31:48 2026 - logsize: 15, triggering rotation to " + backup + "..."; len(*said) != 1 || (*said)[0] != want {
		t.Fatalf("said %q, not %q", *said, want)
	}
	f.put(t, "in the same second\n")
	f.rotate(someTime)
	if f.text(t, backup) != "ten bytes\nmore\n" {
		t.Fatal("a backup was written over")
	}
}

func TestABackupWithANameIsReplaced(t *testing.T) {
	f, _ := logTo(t, func(o *FileOptions) { o.Backup = "bak.log" })
	for _, text := range []string{"one\n", "two\n"} {
		f.put(t, text)
		f.rotate(someTime)
	}
	if f.text(t, "bak.log") != "two\n" || f.text(t, "x.log") != "" {
		t.Fatalf("%q, %q", f.text(t, "bak.log"), f.text(t, "x.log"))
	}
}

func TestReopeningFollowsAMovedFile(t *testing.T) {
	f, _ := logTo(t, nil)
	f.put(t, "before\n")
	if err := os.Rename(filepath.Join(f.Dir, "x.log"), filepath.Join(f.Dir, "moved.log")); err != nil {
		t.Fatal(err)
	}
	f.reopen(someTime)
	f.put(t, "after\n")
	if text := f.text(t, "moved.log"); text != "before\n[1795393908] logsize: 7, triggering log-reopen...\n" {
		t.Errorf("moved: %q", text)
	}
	if text := f.text(t, "x.log"); text != "[1795393908] x.log reopened.\nafter\n" {
		t.Errorf("new: %q", text)
	}
}

func TestAFileThatSomebodyElseHasRotatedIsNotRotatedAgain(t *testing.T) {
	f, _ := logTo(t, func(o *FileOptions) { o.Backup = "bak.log" })
	f.put(t, "before\n")
	if err := os.Rename(filepath.Join(f.Dir, "x.log"), filepath.Join(f.Dir, "bak.log")); err != nil {
		t.Fatal(err)
	}
	f.rotate(someTime)
	f.put(t, "after\n")
	if text := f.text(t, "bak.log"); !strings.HasPrefix(text, "before\n") {
		t.Errorf("the backup is %q", text)
	}
	if text := f.text(t, "x.log"); !strings.HasSuffix(text, "\nafter\n") {
		t.Errorf("the file is %q", text)
	}
}

func TestAFileThatCannotBeRotatedGoesOn(t *testing.T) {
	f, said := logTo(t, func(o *FileOptions) { o.Backup = "none/bak.log" })
	f.put(t, "a\n")
	f.rotate(someTime)
	f.put(t, "b\n")
	f.rotate(someTime.Add(time.Second))
	if f.text(t, "x.log") != "a\nb\n" || len(*said) != 1 || !regexp.MustCompile(`unable to rotate`).MatchString((*said)[0]) {
		t.Fatalf("%q, said %q", f.text(t, "x.log"), *said)
	}
}

func TestWhatWasNotWrittenIsCounted(t *testing.T) {
	f, _ := logTo(t, nil)
	f.handle.Close()
	var b batch
	b.add([]byte("a\n"))
	b.add([]byte("b\n"))
	if lost, err := f.write(&b); lost != 2 || err == nil {
		t.Fatalf("lost %d: %v", lost, err)
	}
}

func TestLoggerArgumentsOfFiles(t *testing.T) {
	o, err := fileOptions("logfile=/x/y.log,backupname=/x/z.log,maxsize=1000", "/srv")
	if err != nil || o.Path != "/x/y.log" || o.Backup != "/x/z.log" || o.MaxSize != 1000 {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := fileOptions("rel.log", "/srv"); err != nil || o.at(o.Path) != "/srv/rel.log" {
		t.Errorf("%+v, %v", o, err)
	}
	for _, text := range []string{"maxsize=1", "logfile=x,maxsize=many", "logfile=x,what=1"} {
		if _, err := fileOptions(text, ""); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// diskOf is a disk that is full for as long as full is set.
type diskOf struct{ full bool }

func (d *diskOf) open(o FileOptions, flags int) (*os.File, error) {
	if d.full {
		return nil, &os.PathError{Op: "open", Path: o.Path, Err: unix.ENOSPC}
	}
	return o.Open(flags)
}

func TestAFileOnAFullDiskIsOpenedLater(t *testing.T) {
	disk := diskOf{full: true}
	var said []string
	f := &file{FileOptions: FileOptions{Dir: t.TempDir(), Path: "x.log", Mode: -1, UID: -1, GID: -1}, open: disk.open}
	f.say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if err := f.begin(0); err != nil {
		t.Fatal(err)
	}
	var b batch
	b.add([]byte("a\n"))
	b.add([]byte("b\n"))
	if lost, err := f.write(&b); lost != 2 || err == nil {
		t.Fatalf("lost %d: %v", lost, err)
	}
	for range 3 {
		f.tend(someTime)
	}
	if len(said) != 1 || !strings.Contains(said[0], "no space left") {
		t.Fatalf("said %q", said)
	}
	disk.full = false
	f.tend(someTime)
	f.put(t, "c\n")
	if text := f.text(t, "x.log"); text != "c\n" {
		t.Fatalf("%q", text)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
}

func TestAWrongPathIsNoFullDisk(t *testing.T) {
	if _, err := newFile(FileOptions{Dir: t.TempDir(), Path: "none/x.log", Mode: -1, UID: -1, GID: -1}, nil, nil); err == nil {
		t.Fatal("a file in a directory that there is not was opened")
	}
}

func TestRotationOnAFullDiskGoesOnInTheBackup(t *testing.T) {
	for name, do := range map[string]func(f *file){
		"rotate": func(f *file) { f.rotate(someTime) },
		"reopen": func(f *file) {
			if err := os.Rename(f.at("x.log"), f.at("bak.log")); err != nil {
				t.Fatal(err)
			}
			f.reopen(someTime)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, said := logTo(t, func(o *FileOptions) { o.Backup = "bak.log"; o.MaxSize = 5 })
			disk := diskOf{full: true}
			f.open = disk.open
			f.put(t, "before\n")
			do(f)
			f.put(t, "meanwhile\n")
			for n := range 3 {
				f.tend(someTime.Add(time.Duration(n) * time.Second))
			}
			if text := f.text(t, "bak.log"); !strings.HasPrefix(text, "before\n") || !strings.HasSuffix(text, "meanwhile\n") {
				t.Fatalf("backup %q", text)
			}
			if n := strings.Count(strings.Join(*said, "\n"), "no space left"); n != 1 {
				t.Fatalf("said %q", *said)
			}
			disk.full = false
			f.tend(someTime)
			f.put(t, "c\n")
			if text := f.text(t, "x.log"); text != "c\n" {
				t.Fatalf("%q", text)
			}
		})
	}
}

func TestANamedPipeWithoutAReaderCostsLinesAlone(t *testing.T) {
	f, said := logTo(t, func(o *FileOptions) {
		if err := unix.Mkfifo(filepath.Join(o.Dir, o.Path), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if !f.pending || len(*said) != 1 || !strings.Contains((*said)[0], "no such device or address") {
		t.Fatalf("pending %v, said %q", f.pending, *said)
	}
	f.retry()
	reader, err := os.OpenFile(filepath.Join(f.Dir, f.Path), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	f.retry()
	if f.pending || len(*said) != 1 {
		t.Fatalf("pending %v, said %q", f.pending, *said)
	}
	f.put(t, "a\n")
	var buffer [10]byte
	if n, err := reader.Read(buffer[:]); string(buffer[:n]) != "a\n" {
		t.Fatalf("read %q, %v", buffer[:n], err)
	}
	flags, err := unix.FcntlInt(f.handle.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("who inherits it would get EAGAIN: %o, %v", flags, err)
	}
}

// TestRecordsStayWholeInAPipe has a full pipe read slowly while somebody else writes to it, too.
func TestRecordsStayWholeInAPipe(t *testing.T) {
	var ends [2]int
	if err := unix.Pipe(ends[:]); err != nil {
		t.Fatal(err)
	}
	reader := os.NewFile(uintptr(ends[0]), "reader")
	f := &file{}
	f.use(os.NewFile(uintptr(ends[1]), "writer"))
	if _, err := unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	const records, size = 400, 1000
	done := make(chan error, 2)
	write := func(mark string, writer interface{ Write([]byte) (int, error) }) {
		var err error
		for n := 0; n < records && err == nil; n++ {
			_, err = writer.Write([]byte(strings.Repeat(mark, size-1) + "\n"))
		}
		done <- err
	}
	go write("a", f.handle)
	go func() {
		var b batch
		for range records {
			b.add([]byte(strings.Repeat("b", size-1) + "\n"))
		}
		_, err := f.write(&b)
		done <- err
	}()
	text := make([]byte, 2*records*size)
	if _, err := io.ReadFull(reader, text); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	reader.Close()
	f.close()
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		if line != strings.Repeat(line[:1], size-1) {
			t.Fatalf("a torn record of %d bytes", len(line))
		}
	}
}
