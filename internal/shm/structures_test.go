package shm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The C that owns the memory has a test program of its own, without Python.
func TestStructures(t *testing.T) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("there is no C compiler")
	}
	for _, c := range []struct {
		name, sanitizer string
		args            []string
	}{
		{"plain", "", nil},
		{"killed writers", "", []string{"kills", "1000"}},
		{"address", "-fsanitize=address,undefined", nil},
		{"address, killed writers", "-fsanitize=address,undefined", []string{"kills", "50"}},
		{"thread", "-fsanitize=thread", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(t.TempDir(), "structures_test")
			flags := strings.Fields("-g -O2 -pthread " + c.sanitizer + " -o " + program +
				" structures_test.c lock.c cache.c cache_items.c caches.c queue.c area.c")
			compile := exec.Command(compiler, flags...)
			compile.Dir = "../../worker/shared"
			if said, err := compile.CombinedOutput(); err != nil {
				if strings.Contains(string(said), "cannot find") && os.Getenv("CI") == "" { // the sanitizer is not installed
					t.Skipf("%s", said)
				}
				t.Fatalf("%v: %s", err, said)
			}
			run := exec.Command(program, c.args...)
			run.Env = append(os.Environ(), "UBSAN_OPTIONS=halt_on_error=1", "TSAN_OPTIONS=halt_on_error=1")
			said, err := run.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			t.Logf("%s", said)
		})
	}
}
