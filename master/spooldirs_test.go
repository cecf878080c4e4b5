package master

import (
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"

	"envoxyd/internal/workerspec"
	"envoxyd/uwsgiopts"
)

func TestMissingSpoolDirectoriesAreMade(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o022))
	base := t.TempDir()
	there, missing, link := filepath.Join(base, "there"), filepath.Join(base, "missing"), filepath.Join(base, "link")
	if err := os.Mkdir(there, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(there, link); err != nil {
		t.Fatal(err)
	}
	cfg := &uwsgiopts.Config{}
	cfg.Spoolers = []uwsgiopts.Spooler{{Dir: missing, Processes: 2}, {Dir: link, External: true}, {Dir: missing, Processes: 1}}
	if os.Getuid() == 0 {
		cfg.UID, cfg.GID = "65534", "65534"
	}
	if err := makeSpoolDirs(cfg); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]os.FileMode{missing: 0o750, there: 0o755} {
		found, err := os.Stat(dir)
		if err != nil || found.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %o", dir, found, err, want)
		}
	}
	if found, err := os.Stat(missing); err == nil && os.Getuid() == 0 {
		if owner := found.Sys().(*syscall.Stat_t); owner.Uid != 65534 || owner.Gid != 65534 {
			t.Errorf("the directory is %d:%d's: who runs jobs there could not remove them", owner.Uid, owner.Gid)
		}
	}
	none := func(dir string, processes int, external bool) workerspec.Spooler {
		return workerspec.Spooler{Dir: dir, Processes: processes, External: external, WakeFD: -1}
	}
	want := []workerspec.Spooler{none(missing, 2, false), none(there, 0, true), none(missing, 1, false)}
	if got := spoolerSpecs(cfg); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestASpoolDirectoryThatCannotBe(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(base, "no", "parent"), filepath.Join(file, "x")} {
		cfg := &uwsgiopts.Config{}
		cfg.Spoolers = []uwsgiopts.Spooler{{Dir: dir}}
		if err := makeSpoolDirs(cfg); err == nil {
			t.Errorf("%s is no directory, and the start goes on", dir)
		}
	}
}

func TestWhereJobsRunRelatesToChdir(t *testing.T) {
	cfg := &uwsgiopts.Config{StartDir: "/start", Chdir: "/work"}
	cfg.SpoolerChdir, cfg.SpoolerHarakiri, cfg.SpoolerFrequency = "jobs", 5*time.Second, 30
	want := workerspec.Spooling{Chdir: "/work/jobs", HarakiriSeconds: 5, FrequencySeconds: 30}
	if got := spoolingSpec(cfg); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
