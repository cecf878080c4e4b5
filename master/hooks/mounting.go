package hooks

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mountFlags are the words for flags of mount(2), as uWSGI has them.
var mountFlags = map[string]uintptr{
	"bind": unix.MS_BIND, "rec": unix.MS_REC, "move": unix.MS_MOVE, "remount": unix.MS_REMOUNT,
	"rdonly": unix.MS_RDONLY, "readonly": unix.MS_RDONLY, "ro": unix.MS_RDONLY, "noexec": unix.MS_NOEXEC, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV,
	"private": unix.MS_PRIVATE, "shared": unix.MS_SHARED, "slave": unix.MS_SLAVE, "unbindable": unix.MS_UNBINDABLE,
	"sync": unix.MS_SYNCHRONOUS, "synchronous": unix.MS_SYNCHRONOUS, "dirsync": unix.MS_DIRSYNC, "mandlock": unix.MS_MANDLOCK,
	"noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME, "strictatime": unix.MS_STRICTATIME,
	"silent": unix.MS_SILENT, "iversion": unix.MS_I_VERSION, "posixacl": unix.MS_POSIXACL,
}

// umountFlags are likewise those of umount2(2).
var umountFlags = map[string]uintptr{"force": unix.MNT_FORCE, "detach": unix.MNT_DETACH, "rec": unix.MNT_DETACH, "lazy": unix.MNT_DETACH, "expire": unix.MNT_EXPIRE}

// mount takes TYPE SOURCE TARGET [FLAGS [DATA]]; the type and the source may be "none".
func (r *run) mount(argument string) error {
	words := strings.SplitN(argument, " ", 5)
	if len(words) < 3 {
		return fmt.Errorf("mount: %q is not TYPE SOURCE TARGET [FLAGS [DATA]]", argument)
	}
	words = append(words, "", "")
	flags, err := flagsOf(words[3], mountFlags)
	if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if r.settings.Again && mounted(r.path(words[2])) {
		return nil // a reload would put another one on top
	}
	if err := unix.Mount(words[1], r.path(words[2]), words[0], flags, words[4]); err != nil {
		return fmt.Errorf("mount %s: %w", words[2], err)
	}
	return nil
}

// umount takes TARGET [FLAGS].
func (r *run) umount(argument string) error {
	target, given, _ := strings.Cut(argument, " ")
	flags, err := flagsOf(given, umountFlags)
	if err != nil {
		return fmt.Errorf("umount: %w", err)
	}
	if r.settings.Again && !mounted(r.path(target)) {
		return nil
	}
	if err := unix.Unmount(r.path(target), int(flags)); err != nil {
		return fmt.Errorf("umount %s: %w", target, err)
	}
	return nil
}

// mounted is Mounted for a path that may lead over links.
func mounted(path string) bool {
	path, err := filepath.EvalSymlinks(path)
	return err == nil && Mounted(path)
}

// Mounted tells whether something is mounted at an absolute path. It asks the kernel alone: a file server that hangs holds nobody up.
func Mounted(path string) bool {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	const place = 4 // of proc(5)'s fields
	escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(filepath.Clean(path))
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > place && fields[place] == escaped {
			return true
		}
	}
	return false
}

// flagsOf reads words with commas between them.
func flagsOf(given string, known map[string]uintptr) (all uintptr, err error) {
	for word := range strings.SplitSeq(given, ",") {
		flag, is := known[word]
		if !is && word != "" {
			return 0, fmt.Errorf("there is no flag %q", word)
		}
		all |= flag
	}
	return all, nil
}
