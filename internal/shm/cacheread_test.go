package shm

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// storing is a program that makes a cache in a file, with what it is given: key, value, seconds, and so on.
const storing = `
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cache.h"
int main(int argc, char **argv)
{
    struct cache_geometry geometry = {.items = 8, .blocks = 64, .block_size = 20, .key_size = 100, .hash_size = 3, .bitmap = atoi(argv[2])};
    struct cache c = {.sweep_seconds = 3};
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    uint64_t size = cache_memory(&geometry);
    if (fd < 0 || ftruncate(fd, size))
        return 2;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED || cache_attach(&c, &geometry, memory, 1))
        return 3;
    for (int i = 3; i + 2 < argc; i += 3) {
        cache_begin(&c);
        if (cache_store(&c, argv[i], strlen(argv[i]), argv[i + 1], strlen(argv[i + 1]), atoi(argv[i + 2]), 1) != CACHE_DONE)
            return 4;
        cache_end(&c);
    }
    return 0;
}`

// storeInCache has the C that owns caches store something in one.
func storeInCache(t *testing.T, bitmap string, items ...string) int {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("there is no C compiler")
	}
	dir := t.TempDir()
	source, program, file := filepath.Join(dir, "storing.c"), filepath.Join(dir, "storing"), filepath.Join(dir, "cache")
	if err := os.WriteFile(source, []byte(storing), 0o600); err != nil {
		t.Fatal(err)
	}
	compile := exec.Command(compiler, "-pthread", "-I.", "-o", program, source, "lock.c", "cache.c", "cache_items.c")
	compile.Dir = "../../worker/shared"
	if said, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if said, err := exec.Command(program, append([]string{file, bitmap}, items...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	fd, err := unix.Open(file, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func TestACacheIsReadWithoutItsLock(t *testing.T) {
	long := strings.Repeat("0123456789", 5)
	for _, bitmap := range []string{"0", "1"} {
		items := []string{"a", "one", "0", "example.com", "127.0.0.1:3031", "100", "old", "x", "-1", strings.Repeat("k", 100), "long key", "0", "a", "two", "0"}
		if bitmap == "1" {
			items = append(items, "b", long, "0")
		}
		fd := storeInCache(t, bitmap, items...)
		want := map[string]string{"a": "two", "example.com": "127.0.0.1:3031", "old": "", strings.Repeat("k", 100): "long key", "absent": "", "": "", strings.Repeat("k", 101): ""}
		if bitmap == "1" {
			want["b"] = long
		}
		for key, value := range want {
			got, found, err := CacheValue(fd, key, 100)
			if string(got) != value || found != (value != "") || err != nil {
				t.Errorf("bitmap %s: %q is %q, %v, %v", bitmap, key, got, found, err)
			}
		}
		if got, found, err := CacheValue(fd, "example.com", 13); found || err != nil {
			t.Errorf("longer than allowed: %q, %v", got, err)
		}
	}
}

// What the memory says is not believed, and what a writer left behind that was killed is readable as far as it is whole.
func TestACacheThatIsDamagedIsReadAsFarAsItGoes(t *testing.T) {
	fd := storeInCache(t, "1", "a", "one", "0")
	head, err := ReadCacheHead(fd)
	if err != nil {
		t.Fatal(err)
	}
	r := cacheReader{fd: fd, head: head}
	for offset := int64(0); offset < 400; offset += 8 {
		var before [8]byte
		if _, err := unix.Pread(fd, before[:], offset); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Pwrite(fd, []byte{255, 255, 255, 255, 255, 255, 255, 127}, offset); err != nil {
			t.Fatal(err)
		}
		if value, _, err := CacheValue(fd, "a", 3); len(value) > 3 || err != nil && value != nil {
			t.Errorf("with the word at %d: %q, %v", offset, value, err)
		}
		if _, err := unix.Pwrite(fd, before[:], offset); err != nil {
			t.Fatal(err)
		}
	}
	chains, items, _, _ := r.places()
	for _, at := range []uint64{chains, chains + 4, chains + 8} { // a chain that leads out of the memory
		if _, err := unix.Pwrite(fd, []byte{255, 255, 255, 127}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := CacheValue(fd, "a", 100); found || err != nil {
		t.Errorf("behind a broken chain: %v, %v", found, err)
	}
	if err := unix.Ftruncate(fd, int64(items)); err != nil {
		t.Fatal(err)
	}
	for _, at := range []uint64{chains, chains + 4, chains + 8} {
		if _, err := unix.Pwrite(fd, []byte{1, 0, 0, 0}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := CacheValue(fd, "a", 100); found || err == nil {
		t.Errorf("in memory that was cut short: %v, %v", found, err)
	}
	if err := unix.Ftruncate(fd, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := CacheValue(fd, "a", 100); !errors.Is(err, ErrNoHead) {
		t.Errorf("without a head: %v", err)
	}
}
