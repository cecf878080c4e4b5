package modules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoModule is a file of modules that does not exist.
var ErrNoModule = errors.New("no such file")

// locatable are the keys whose values are names of files that Python opens, as in rules.
var locatable = []string{
	"modules.*", "plugins.auth", "mqtt_servers.*.cert_path", "mqtt_servers.*.client_cert_path", "mqtt_servers.*.client_key_path",
	"amqp_servers.*.cert_path", "redis_servers.*.cert_path",
}

// Locate makes of relative names that do not exist in the directory that the service runs in, and do beside the file, absolute ones.
// A file of modules that exists in neither place is an error.
func (s *Service) Locate(dir string) error {
	beside := filepath.Dir(s.Path)
	if !filepath.IsAbs(beside) {
		beside = filepath.Join(dir, beside)
	}
	for _, pattern := range locatable {
		if err := s.locate(s.source.document, strings.Split(pattern, "."), nil, dir, beside); err != nil {
			return err
		}
	}
	s.Document = s.source.document.encode()
	return nil
}

func (s *Service) locate(at *node, steps, taken []string, dir, beside string) error {
	switch {
	case at == nil:
		return nil
	case len(steps) > 0 && steps[0] != "*":
		return s.locate(at.at(steps[0]), steps[1:], append(taken, steps[0]), dir, beside)
	case len(steps) > 0:
		for i, item := range at.items {
			if err := s.locate(item, steps[1:], append(taken[:len(taken):len(taken)], strconv.Itoa(i)), dir, beside); err != nil {
				return err
			}
		}
		for _, m := range at.members {
			if err := s.locate(m.value, steps[1:], append(taken[:len(taken):len(taken)], m.key), dir, beside); err != nil {
				return err
			}
		}
		return nil
	case at.kind != text || at.text == "" || exists(dir, at.text):
		return nil
	case !filepath.IsAbs(at.text) && exists(beside, at.text):
		at.text = filepath.Join(beside, at.text)
		return nil
	case taken[0] != "modules":
		return nil // whoever opens it says so
	}
	where := ""
	if !filepath.IsAbs(at.text) {
		where = " in " + dir
		if beside != dir {
			where += " or in " + beside
		}
	}
	return s.source.fault(at, strings.Join(taken, "."), fmt.Errorf("%w: %s%s", ErrNoModule, at.text, where))
}

// exists tells whether something has that name, as far as this process may know.
func exists(dir, name string) bool {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	_, err := os.Stat(name)
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR)
}
