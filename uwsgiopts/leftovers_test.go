package uwsgiopts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// noticesOf reads lines of an ini file and returns what is said about the first of them.
func noticesOf(t *testing.T, environ []string, lines ...string) []string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"site.ini": "[uwsgi]\n" + strings.Join(lines, "\n") + "\n", "late.ini": "[uwsgi]\nchdir = $(SET)\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Parse([]string{"--ini", "site.ini"}, environ, ParseOptions{Dir: dir})
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return slices.DeleteFunc(c.Notices, func(n string) bool {
		return !strings.Contains(n, "left unchanged") && !strings.Contains(n, "magic variable")
	})
}

func TestWhatLooksLikeAPlaceholderAndStaysIsReported(t *testing.T) {
	const reached = " is left unchanged: "
	for _, tt := range []struct{ line, want string }{
		{"chdir = /srv/%(nme)", `option "chdir": %(nme)` + reached + `no setting is named "nme" (site.ini:2)`},
		{"chdir = ${HOME}/%(nme)", `option "chdir": ${HOME}` + reached + `environment variables are written $(NAME) (site.ini:2)`},
		{"pidfile = /run/${UWSGI_NAME:-site}.pid", `option "pidfile": ${UWSGI_NAME:-site}` + reached + `environment variables are written $(NAME) (site.ini:2)`},
		{"http-socket = :$(PRT)", `option "http-socket": $(PRT)` + reached + `the environment variable "PRT" is not set (site.ini:2)`},
		{"env = A=$(PRT)", `option "env": $(PRT)` + reached + `the environment variable "PRT" is not set (site.ini:2)`},
		{"if-env = $(SET)", `option "if-env": $(SET)` + reached + `this option takes effect before placeholders are expanded (site.ini:2)`},
		{"inherit = late.ini", `option "chdir": $(SET)` + reached + `it was read after placeholders had been expanded (late.ini:2)`},
		{"conf = /etc/%(nme).json", `option "conf": %(nme)` + reached + `no setting is named "nme" (site.ini:2)`},
		{"chdir = %(chdir)", `%(chdir) is left unchanged: it refers to itself (site.ini:2)`},
		{"chdir = $(SET)", ""}, {"chdir = $(PRT:-/tmp)", ""}, {"chdir = $HOME", ""}, {"log-format = %(uri) %(nme)", ""},
		{"log-encoder = format ${msgnl}", ""}, {"cron = 1 1 1 1 1 echo $(date) ${X}", ""}, {"attach-daemon = sh -c 'echo ${X}'", ""},
		{"exec-asap = echo $(date)", ""}, {"route = ^/ redirect:${X}", ""}, {"set = other=%(nme)", ""}, {"own = %(nme)", ""}, {"eval = '%(a)s' %% {}", ""},
		{"static-expires = /a$(b) 1", ""}, {"logger = pipe:cat ${X}", ""},
	} {
		var want []string
		if tt.want != "" {
			want = []string{tt.want}
		}
		if got := noticesOf(t, []string{"SET=/tmp"}, tt.line, "endif ="); !slices.Equal(got, want) {
			t.Errorf("%s:\n%q, want\n%q", tt.line, got, want)
		}
	}
}

func TestPercentSignsThatVanishAreReported(t *testing.T) {
	const (
		date = " were expanded as magic variables: in a file, write dates with two percent signs, as in %%Y (site.ini:2)"
		gone = " was removed: there is no such magic variable; a percent sign is written %% (site.ini:2)"
	)
	for _, tt := range []struct{ line, want string }{
		{"log-date = %Y-%d", `option "log-date": "%d", "%Y"` + date},
		{"log-date = %d", `option "log-date": "%d"` + date},
		{"log-encoder = format ${strftime:%Y-%m-%d} ${msg}", `option "log-encoder": "%d", "%Y", "%m"` + date},
		{"env = DISCOUNT=50% off", `option "env": "% "` + gone},
		{"env = NAME=%é", `option "env": "%é"` + gone},
		{"own = 50%Y", `option "own": "%Y"` + gone},
		{"set-ph = own=50%Y", `option "set-ph": "%Y"` + gone},
		{"log-date = %%Y-%%d", ""}, {"chdir = %d", ""}, {"env = DISCOUNT=50%", ""}, {"# 50% off", ""}, {"log-format = 100%% %(uri)", ""},
		{"if-env = UNSET\nenv = A=50%Y\nendif =", ""},
	} {
		var want []string
		if tt.want != "" {
			want = []string{tt.want}
		}
		if got := noticesOf(t, nil, tt.line); !slices.Equal(got, want) {
			t.Errorf("%s:\n%q, want\n%q", tt.line, got, want)
		}
	}
}

func TestVanishedPercentSignsOfOtherLanguages(t *testing.T) {
	for name, text := range map[string]string{
		"site.xml": "<uwsgi>\n<log-date>%Y</log-date>\n</uwsgi>\n", "site.json": "{\"uwsgi\":{\n\"log-date\": \"%Y\"\n}}\n",
		"site.yaml": "uwsgi:\n  log-date: '%Y'\n", "plain.yaml": "uwsgi:\n  log-date: %Y-\n  print: a: b\n",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := Parse([]string{name}, nil, ParseOptions{Dir: dir})
		want := name + ":2)"
		if err != nil || !slices.ContainsFunc(c.Notices, func(n string) bool { return strings.Contains(n, `"%Y" were expanded`) && strings.HasSuffix(n, want) }) {
			t.Errorf("%s: %q, %v", name, c.Notices, err)
		}
	}
}
