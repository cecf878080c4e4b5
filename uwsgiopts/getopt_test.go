package uwsgiopts

import (
	"strings"
	"testing"
)

// pairsOf writes pairs as name=value, flags as the bare name.
func pairsOf(cfg *Config) string {
	var words []string
	for _, pair := range cfg.Pairs {
		if pair.Flag {
			words = append(words, pair.Name)
		} else {
			words = append(words, pair.Name+"="+pair.Value)
		}
	}
	return strings.Join(words, "|")
}

func TestCommandLineForms(t *testing.T) {
	files := map[string]string{"a.ini": "[uwsgi]\nx = 1\n"}
	tests := []struct{ args, want string }{
		{"--processes=4 --processes 5", "processes=4|processes=5"},
		{"--harakiri= -M", "harakiri=|master"},
		{"-MTLp2 -b8192 -z 9", "master|enable-threads|disable-logging|processes=2|buffer-size=8192|socket-timeout=9"},
		{"--socket -M", "socket=-M"},
		{"--chmod-socket --chmod-socket=660 -C -C600", "chmod-socket|chmod-socket=660|chmod-socket|chmod-socket=600"},
		{"--harakiri-v --wsgi-f x --enable-th", "harakiri-verbose|wsgi-file=x|enable-threads"},
		{"--chmo", "chmod-socket"},
		{"--harakiri 3", "harakiri=3"},
		{"-x a.xml", "error"},
		{"-H /v -w app -l 9", "home=/v|module=app|listen=9"},
		{"a.ini -M", "master|x=1"},
		{"[x] -- a.ini", "x=1"},
		{"--declare-option say=set=said=$1 --say it", "declare-option=say=set=said=$1|say=it|said=it"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			cfg, _, err := parseIn(t, files, nil, strings.Fields(tt.args)...)
			got := "error"
			if err == nil {
				got = pairsOf(cfg)
			}
			if got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
		})
	}
}

func TestCommandLineMistakesNameTheWord(t *testing.T) {
	tests := []struct{ args, words string }{
		{"--no-such-option", "unrecognized option '--no-such-option'"},
		{"--no-such=3", "unrecognized option '--no-such'"},
		{"--vaccum", "did you mean \"vacuum\""},
		{"-V", "invalid option -- 'V'"},
		{"--socket", "'--socket' requires an argument"},
		{"-p", "requires an argument -- 'p'"},
		{"--master=true", "'--master' doesn't allow an argument"},
		{"--proc 2", "ambiguous"},
		{"--buffer_size 8192", "buffer_size"},
		{"app.py", "unable to load configuration from app.py"},
		{":9090", "unable to load configuration from :9090"},
		{"a.ini:x", "unable to load configuration from a.ini:x"},
		{"-", "unable to load configuration from -"},
		{"--exit=nothing --chmod-socket 660", ""},
		{"--chmod-socket 660", "660"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, _, err := parseIn(t, nil, nil, strings.Fields(tt.args)...)
			switch {
			case tt.words == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.words != "" && (err == nil || !strings.Contains(err.Error(), tt.words)):
				t.Errorf("%v does not say %q", err, tt.words)
			}
		})
	}
}

func TestPosixlyCorrectStopsAtTheFirstWord(t *testing.T) {
	files := map[string]string{"a.ini": "[uwsgi]\n"}
	if _, _, err := parseIn(t, files, []string{"POSIXLY_CORRECT="}, "a.ini", "-M"); err == nil {
		t.Error("-M after a word is still an option")
	}
	if cfg, _, err := parseIn(t, files, []string{"POSIXLY_CORRECT=1"}, "-M", "a.ini"); err != nil || !cfg.Master {
		t.Errorf("master %v, %v", cfg.Master, err)
	}
}

func TestEnvironmentVariablesAreOptions(t *testing.T) {
	cfg, _, err := parseIn(t, nil, []string{"UWSGI_MAX_REQUESTS=7", "HOME=/", "UWSGI_RELOADS=1", "UWSGI_NOTHING", "UWSGI_X=a=b"})
	if want := "max-requests=7|x=a=b"; err != nil || pairsOf(cfg) != want {
		t.Errorf("got %s, %v; want %s", pairsOf(cfg), err, want)
	}
	if cfg.MaxRequests != 7 {
		t.Errorf("max-requests is %d", cfg.MaxRequests)
	}
}
