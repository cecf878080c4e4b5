package uwsgiopts

import (
	"fmt"
	"math/bits"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// magic holds what the letters after a % stand for in the text of a file.
type magic struct {
	letters map[byte]string
	first   bool // the upper-case letters have been taken
}

// newMagic fills the letters that do not depend on a file.
func newMagic(dir, program string) magic {
	uid, gid := os.Getuid(), os.Getgid()
	now := time.Now()
	m := magic{letters: map[byte]string{
		'v': dir, 'V': Version, 'k': strconv.Itoa(onlineCPUs()), 'b': program,
		't': strconv.FormatInt(now.Unix(), 10), 'T': strconv.FormatInt(now.UnixMicro(), 10),
		'u': strconv.Itoa(uid), 'U': strconv.Itoa(uid), 'g': strconv.Itoa(gid), 'G': strconv.Itoa(gid),
		'[': "\x1b", '%': "%", '(': "%(",
	}}
	if host, err := os.Hostname(); err == nil {
		m.letters['h'] = host
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		m.letters['U'] = u.Username
	}
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		m.letters['G'] = g.Name
	}
	if path, err := os.Executable(); err == nil {
		m.letters['b'] = path
	}
	return m
}

// enter sets the letters of a file; name "" is another section of the same file.
func (m *magic) enter(dir, name, section string) {
	m.letters['o'], m.letters['x'] = name, section
	if name == "" || name == "-" || strings.Contains(name, "://") {
		return
	}
	path := magicPath(dir, name)
	base := filepath.Base(path)
	m.letters['p'] = path
	m.letters['s'] = base
	m.letters['n'], m.letters['e'] = base, ""
	if dot := strings.LastIndexByte(base, '.'); dot >= 0 {
		m.letters['n'], m.letters['e'] = base[:dot], base[dot+1:]
	}
	folder := filepath.Dir(path)
	m.letters['d'] = strings.TrimSuffix(folder, "/") + "/"
	m.letters['c'] = ""
	for i, part := range []byte("0123456789") {
		delete(m.letters, part)
		if parts := strings.Split(folder, "/"); i+1 < len(parts) {
			m.letters[part] = parts[i+1]
		}
	}
	if folder != "/" {
		m.letters['c'] = filepath.Base(folder)
	}
	m.letters['i'], m.letters['j'] = "", fmt.Sprintf("%08X", bits.ReverseBytes32(djb33x(path))) // in the order of memory
	if info, err := os.Stat(path); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			m.letters['i'] = strconv.FormatUint(stat.Ino, 10)
		}
	}
}

// keepFirst copies the file's letters to the upper-case ones, once.
func (m *magic) keepFirst() {
	if m.first {
		return
	}
	m.first = true
	for _, letter := range []byte("odspcenxij") {
		m.letters[letter-'a'+'A'] = m.letters[letter]
	}
}

// magicPath resolves links, but not when the file itself is one: many sites are links to
// one file and are told apart by the links' names.
func magicPath(dir, name string) string {
	path := name
	if !filepath.IsAbs(name) {
		path = dir + "/" + name
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSymlink != 0 {
		return path
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	return path
}

// magicUse is which letters one line of a file has had, in order: those that stand for something, and those that do not.
type magicUse struct{ known, unknown string }

// replace puts in the letters' values. A % with an unknown letter vanishes together with
// it, as in uWSGI; at the end of a line it stays. Lines count from 1.
func (m *magic) replace(text string) (replaced string, uses map[int]magicUse) {
	var out strings.Builder
	number := 1
	for {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			out.WriteString(text)
			return out.String(), uses
		}
		out.WriteString(text[:i])
		number += strings.Count(text[:i], "\n")
		text = text[i+1:]
		if text == "" || text[0] == '\n' || text[0] == '\r' {
			out.WriteByte('%')
			continue
		}
		_, width := utf8.DecodeRuneInString(text)
		letter := text[:width]
		text = text[width:]
		value, known := "", false
		if width == 1 {
			value, known = m.letters[letter[0]]
		}
		out.WriteString(value)
		if strings.Contains("%([", letter) {
			continue
		}
		if uses == nil {
			uses = map[int]magicUse{}
		}
		use := uses[number]
		if known {
			use.known += letter
		} else {
			use.unknown += letter
		}
		uses[number] = use
	}
}

// djb33x is Bernstein's hash with exclusive or.
func djb33x(s string) uint32 {
	hash := uint32(5381)
	for i := range len(s) {
		hash = (hash<<5 + hash) ^ uint32(s[i])
	}
	return hash
}

// onlineCPUs counts the machine's processors, whatever this process may use of them.
func onlineCPUs() int {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return runtime.NumCPU()
	}
	n := 0
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		low, high, isRange := strings.Cut(part, "-")
		a, errLow := strconv.Atoi(low)
		b, errHigh := a, error(nil)
		if isRange {
			b, errHigh = strconv.Atoi(high)
		}
		if errLow != nil || errHigh != nil {
			return runtime.NumCPU()
		}
		n += b - a + 1
	}
	return n
}
