package uwsgiopts

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCGIOptions(t *testing.T) {
	cfg, _, err := parseIn(t, nil, nil, "--cgi", "/cgi-bin=/usr/lib/cgi=bin", "--cgi", "bin", "--cgi-helper", ".pl=perl", "--cgi-map-helper", ".py=./py=3",
		"--cgi-timeout", "5", "--cgi-index", "index.pl", "--cgi-allowed-ext", ".pl", "--cgi-unset", "HOME", "--cgi-safe", "/s", "--cgi-from-docroot",
		"--cgi-do-not-kill-on-error", "--cgi-dontresolve", "--http-socket-modifier1", "9", "--http-modifier1", "9", "--fastcgi-modifier1", "0")
	if err != nil {
		t.Fatal(err)
	}
	want := CGIConfig{
		CGIMaps: [][2]string{{"/cgi-bin", "/usr/lib/cgi=bin"}, {"", "bin"}}, CGIHelpers: [][2]string{{".pl", "perl"}, {".py", "./py=3"}},
		CGIDocumentRoot: true, CGITimeout: 5 * time.Second, CGIIndex: []string{"index.pl"}, CGIAllowedExt: []string{".pl"}, CGIUnset: []string{"HOME"},
		CGISafe: []string{"/s"}, CGILeaveRunning: true, CGIKeepLinks: true, Modifier1: Modifiers1{HTTP: 9, HTTPSocket: 9},
	}
	if !reflect.DeepEqual(cfg.CGIConfig, want) {
		t.Errorf("got  %+v\nwant %+v", cfg.CGIConfig, want)
	}
}

func TestCGIOptionsThatMeanNothing(t *testing.T) {
	for args, word := range map[string]string{
		"--cgi|":                       "names no file",
		"--cgi|/x=":                    "names no file",
		"--cgi|x=bin":                  "begins with a slash",
		"--cgi-helper|.pl":             "SUFFIX=PROGRAM",
		"--cgi-helper|=perl":           "SUFFIX=PROGRAM",
		"--cgi-helper|.py=sym://f":     "C function",
		"--cgi-loadlib|x.so":           "cgi-helper",
		"--http-modifier1|9":           "add --cgi",
		"--http-socket-modifier1|9":    "add --cgi",
		"--https-socket-modifier1|9":   "add --cgi",
		"--fastcgi-modifier1|9":        "add --cgi",
		"--scgi-modifier1|9":           "add --cgi",
		"--cgi|b|--scgi-modifier1|5":   "is not served",
		"--cgi|b|--http-modifier1|256": "http-modifier1",
	} {
		if _, _, err := parseIn(t, nil, nil, strings.Split(args, "|")...); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want %q", args, err, word)
		}
	}
}

func TestErrorPages(t *testing.T) {
	cfg, _, err := parseIn(t, nil, nil, "--error-page-403", "a", "--error-page-404", "b", "--error-page-500", "c", "--error-page-500", "d")
	if err != nil || !reflect.DeepEqual([][]string{cfg.ErrorPages403, cfg.ErrorPages404, cfg.ErrorPages500}, [][]string{{"a"}, {"b"}, {"c", "d"}}) {
		t.Errorf("%v %v %v, %v", cfg.ErrorPages403, cfg.ErrorPages404, cfg.ErrorPages500, err)
	}
}
