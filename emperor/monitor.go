package emperor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"envoxyd/uwsgiopts"
)

// Instance is a configuration that was found.
type Instance struct {
	ID       string    // its name among the vassals, and where it is for the process that reads it
	Path     string    // where it is for this process
	Changed  time.Time // when it last changed
	UID, GID uint32    // of its owner
	Monitor  string    // what has found it
	Runs     bool      // it is executable, and its output is the configuration
	Socket   string    // of an instance on demand: the address that is listened on; "": it starts at once
	Given    bool      // it is no file, and Text is the configuration
	Text     string
}

// source is a place that configurations come from.
type source interface {
	look(e *Emperor) // finds what is there now, and has Emperor.found told: at once, or later by an event
	close()          // comes last, when nothing looks any more
	Dir() string     // where its instances run; "": where this process does
	Watched() string // the directory whose changes matter; "": there is none
}

// newSource reads any place that a configuration names.
func newSource(cfg *uwsgiopts.EmperorConfig, text string) (source, error) {
	place, is, err := uwsgiopts.ReadPostgresSource(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("emperor: %w", err)
	case is:
		return newTable(cfg, place)
	}
	return NewSource(cfg, text)
}

// Check tells what is wrong with places that a start would refuse, without looking at what is there.
func Check(cfg *uwsgiopts.Config) (wrong []error) {
	for _, text := range cfg.Emperors {
		if s, err := newSource(&cfg.EmperorConfig, text); err != nil {
			wrong = append(wrong, err)
		} else {
			s.close()
		}
	}
	return wrong
}

// options of each kind of file.
var options = map[string]string{".ini": "ini", ".xml": "xml", ".yml": "yaml", ".yaml": "yaml", ".js": "json", ".json": "json"}

// option is the option that has an instance read the file; "": it is no configuration.
func option(cfg *uwsgiopts.EmperorConfig, name string) string {
	if found := options[filepath.Ext(name)]; found != "" {
		return found
	}
	if slices.ContainsFunc(cfg.EmperorExtensions, func(ext string) bool { return strings.HasSuffix(name, ext) }) {
		return "config"
	}
	return ""
}

// Source is a place that has configurations as files.
type Source struct {
	cfg     *uwsgiopts.EmperorConfig
	text    string // as it was given
	pattern string // of files; "": all of dir
	dir     string
	base    string // what names are relative to
}

// NewSource reads a directory, a pattern, or the name of a file, with or without dir://, glob:// or file://.
func NewSource(cfg *uwsgiopts.EmperorConfig, text string) (*Source, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "", text
	}
	s := &Source{cfg: cfg, text: text}
	info, err := os.Stat(rest)
	switch {
	case scheme == "dir" || scheme == "" && err == nil && info.IsDir():
		if err != nil {
			return nil, fmt.Errorf("emperor: %w", err)
		}
		if s.dir, err = filepath.Abs(rest); err != nil {
			return nil, fmt.Errorf("emperor: %w", err)
		}
		s.base = s.dir
	default:
		s.pattern = rest
		if _, err := filepath.Match(rest, ""); err != nil {
			return nil, fmt.Errorf("emperor: %q: %w", rest, err)
		}
		if !filepath.IsAbs(rest) {
			if s.base, err = os.Getwd(); err != nil {
				return nil, fmt.Errorf("emperor: %w", err)
			}
		}
	}
	return s, nil
}

// Watched are the directories whose changes matter.
func (s *Source) Watched() string {
	if s.dir != "" {
		return s.dir
	}
	return filepath.Dir(s.pattern)
}

// Dir is where its instances run; "": where this process does.
func (s *Source) Dir() string { return s.dir }

// look reads the place; one that is away for a moment ends nobody.
func (s *Source) look(e *Emperor) {
	found, err := s.Scan()
	if err != nil {
		e.complain("%v", err)
		return
	}
	e.found(s, found, nil)
}

func (s *Source) close() {}

// Scan returns the configurations that are there now. Files that are no configurations are passed over.
func (s *Source) Scan() ([]Instance, error) {
	if info, err := os.Stat(s.pattern); err == nil && info.IsDir() { // it was not there at the start
		found, err := NewSource(s.cfg, "dir://"+s.pattern)
		if err != nil {
			return nil, err
		}
		s.pattern, s.dir, s.base = "", found.dir, found.base
	}
	var names []string
	if s.dir != "" {
		entries, err := os.ReadDir(s.dir)
		if err != nil {
			return nil, fmt.Errorf("emperor: %w", err)
		}
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
	} else {
		var err error
		if names, err = filepath.Glob(s.pattern); err != nil {
			return nil, fmt.Errorf("emperor: %w", err)
		}
	}
	var found []Instance
	for _, name := range names {
		if one, ok := s.one(name); ok {
			found = append(found, one)
		}
	}
	return found, nil
}

// one is Scan for one name.
func (s *Source) one(name string) (one Instance, ok bool) {
	if strings.HasPrefix(filepath.Base(name), ".") || option(s.cfg, name) == "" {
		return one, false
	}
	one = Instance{ID: name, Path: filepath.Join(s.base, name), Monitor: s.text}
	stat := os.Stat
	if s.cfg.EmperorNofollow {
		stat = os.Lstat
	}
	info, err := stat(one.Path)
	if err != nil {
		return one, false
	}
	if kind, err := os.Stat(one.Path); err != nil || !kind.Mode().IsRegular() { // nobody waits for who writes into a pipe
		return one, false
	}
	one.Changed = info.ModTime()
	one.Runs = s.cfg.EmperorMagicExec && info.Mode()&0o111 != 0
	if s.cfg.TyrantNofollow {
		if info, err = os.Lstat(one.Path); err != nil {
			return one, false
		}
	}
	if owner, is := info.Sys().(*syscall.Stat_t); is {
		one.UID, one.GID = owner.Uid, owner.Gid
	}
	one.Socket, err = s.socket(&one)
	if one.Socket != "" && isPath(one.Socket) && !filepath.IsAbs(one.Socket) {
		one.Socket = filepath.Join(s.dir, one.Socket)
	}
	return one, err == nil
}

// socket is the address that an instance on demand is started by.
func (s *Source) socket(one *Instance) (string, error) {
	switch {
	case s.cfg.OnDemandExtension != "":
		var text []byte
		err := fs.ErrPermission
		look := func() { text, err = read(one.Path + s.cfg.OnDemandExtension) }
		if s.cfg.EmperorTyrant { // who links to others' files is not to read them here
			as(one.UID, one.GID, look)
		} else {
			look()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return strings.TrimSpace(string(text)), err
	case s.cfg.OnDemandDir != "":
		return filepath.Join(s.cfg.OnDemandDir, filepath.Base(one.ID)+".socket"), nil
	case s.cfg.OnDemandExec != "":
		text, err := exec.Command(s.cfg.OnDemandExec, one.ID).Output()
		return strings.TrimSpace(string(text)), err
	}
	return "", nil
}

// attributes reads the keys of a configuration's own section for its emperor: [emperor] of an ini file.
func attributes(one *Instance, wanted []string) map[string]string {
	found := map[string]string{}
	if len(wanted) == 0 {
		return found
	}
	text := []byte(one.Text)
	if !one.Given {
		var err error
		if text, err = read(one.Path); err != nil {
			return found
		}
	}
	section := ""
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && section == "emperor" && slices.Contains(wanted, strings.TrimSpace(key)) {
			found[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return found
}

// longest is how much of a file is read here.
const longest = 1 << 20

// read reads a file that somebody else may have put there: it never waits, and reads no more than the longest.
func read(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	return io.ReadAll(io.LimitReader(file, longest))
}
