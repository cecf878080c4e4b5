package uwsgiopts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMisspeltVariablesOfTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	text := "[uwsgi]\nown = $(UWSGI_MODULES)\nprint = %(worker)\nif-env = UWSGI_SOCKETS\nprint = a\nendif =\n"
	if err := os.WriteFile(filepath.Join(dir, "site.ini"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"UWSGI_HARAKRI": "UWSGI_HARAKIRI", "UWSGI_PROCESES": "UWSGI_PROCESSES", "UWSGI_PROCESS": "UWSGI_PROCESSES", "UWSGI_BUFFERSIZE": "UWSGI_BUFFER_SIZE",
		// names of options, of uWSGI's own, of others, and what the configuration reads
		"UWSGI_HARAKIRI": "", "UWSGI_RELOADS": "", "UWSGI_ORIGINAL_PROC_NAME": "", "UWSGI_PORT": "", "UWSGI_PORT_8000_TCP_ADDR": "", "UWSGI_SERVICE_HOST": "",
		"UWSGI_HOST": "", "UWSGI_EXTRA": "", "UWSGI_BINARY": "", "UWSGI_CONF": "", "UWSGI_USER": "", "UWSGI_LOG_LEVEL": "", "UWSGI_MAX_WORKERS": "", "HARAKRI": "",
		"UWSGI_MODULES": "", "UWSGI_WORKER": "", "UWSGI_SOCKETS": "",
	} {
		c, err := Parse([]string{"--ini", "site.ini"}, []string{name + "=3"}, ParseOptions{Dir: dir})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := slices.DeleteFunc(c.Notices, func(n string) bool { return !strings.Contains(n, "variable") })
		line := "the environment variable " + name + " is not an option and is ignored; did you mean " + want + "?"
		if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{line}) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
