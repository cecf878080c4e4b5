package master

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

func TestATouchedFileIsNoticedOnceAndACreatedOneToo(t *testing.T) {
	dir := t.TempDir()
	there, later := filepath.Join(dir, "there"), filepath.Join(dir, "later")
	if err := os.WriteFile(there, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := &uwsgiopts.Config{StartDir: dir, TouchReload: []string{"there", "later"}}
	var files touched
	files.reconfigure(cfg)
	var noticed []string
	look := func(want ...string) {
		t.Helper()
		noticed = nil
		for i := range files.watches {
			files.watches[i].act = func(_ *master, path string) { noticed = append(noticed, path) }
		}
		files.poll(nil)
		if !slices.Equal(noticed, want) {
			t.Fatalf("noticed %q, not %q", noticed, want)
		}
	}
	look()
	if err := os.Chtimes(there, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	look(there)
	look()
	if err := os.WriteFile(later, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	files.reconfigure(cfg) // a reload in between loses nothing
	look(later)
}
