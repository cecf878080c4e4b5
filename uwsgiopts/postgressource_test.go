package uwsgiopts

import (
	"errors"
	"strings"
	"testing"
)

func TestPlacesInPostgreSQL(t *testing.T) {
	for _, c := range []struct{ place, connection, query, shown string }{
		{"pg://host=h user=u dbname=d;SELECT 1,2,3", "host=h user=u dbname=d", "SELECT 1,2,3", "pg://host=h user=u dbname=d;SELECT 1,2,3"},
		{"pg:// host=h password='s;ecret' ; SELECT ';'; ", "host=h password='s;ecret'", "SELECT ';'", "pg://host=h;SELECT ';'"},
		{"pg://postgres://u:secret@h/d?sslmode=require;SELECT 1", "postgres://u:secret@h/d?sslmode=require", "SELECT 1", "pg://postgres://u@h/d?sslmode=require;SELECT 1"},
		{"pg://;SELECT 1", "", "SELECT 1", "pg://;SELECT 1"}, // all of it from PGHOST and kin
	} {
		s, ok, err := ReadPostgresSource(c.place)
		if !ok || err != nil || s.Connection != c.connection || s.Query != c.query || s.String() != c.shown {
			t.Errorf("%s: %q, %q, shown %q: %v", c.place, s.Connection, s.Query, s, err)
		}
		if got := PublicPlace("--emperor=" + c.place); got != "--emperor="+c.shown {
			t.Errorf("%s: shown as a word %q", c.place, got)
		}
	}
	if _, ok, err := ReadPostgresSource("/etc/vassals"); ok || err != nil {
		t.Error("a directory is taken for a database")
	}
	for _, text := range []string{"vassals", "dir:///v"} {
		if got := PublicPlace(text); got != text {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
	if got := PublicPlace("pg://password=secret'x;y"); strings.Contains(got, "secret") {
		t.Errorf("a broken place is shown as %s", got)
	}
}

func TestPlacesInPostgreSQLThatAreRefused(t *testing.T) {
	for place, want := range map[string]string{
		"pg://host=h user=u":                        "there is no query",
		"pg://host=h;":                              "there is no query",
		"pg://host=h; ;; ":                          "there is no query",
		"pg://":                                     "there is no query",
		"pg://SELECT name FROM vassals":             "no semicolon before the query",
		"pg://127.0.0.1;SELECT 1":                   "neither a URL nor keyword=value pairs",
		"pg://host=h password=se cret;SELECT 1":     "neither a URL nor keyword=value pairs",
		"pg://host=h password='secret;SELECT 1":     "a quote is not closed",
		"pg://mysql://u:secret@h/d;SELECT 1":        "not a postgres:// URL",
		"pg://postgres://u:se/cret@h/d;SELECT 1":    "not a postgres:// URL",
		"pg://postgres://u:secret@h/d?%zz;SELECT 1": "not escaped",
	} {
		_, err := Parse([]string{"--emperor", place}, nil, ParseOptions{})
		var refused *ExitError
		if !errors.As(err, &refused) || refused.Status != 1 || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "the form is pg://CONNECTION;QUERY") {
			t.Errorf("%s: %v; want %q", place, err, want)
		} else if strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: %v shows the password", place, err)
		}
		cfg, err := Parse([]string{"--check", "--emperor", place}, nil, ParseOptions{})
		if err != nil || len(cfg.Problems) != 1 || !strings.Contains(cfg.Problems[0].Error(), want) {
			t.Errorf("--check of %s: %v, %v", place, cfg.Problems, err)
		}
	}
}
