package conninfo

import (
	"errors"
	"strings"
	"testing"
)

func TestWhatIsShownOfAConnectionString(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"host=h user=u dbname=d", "host=h user=u dbname=d"},
		{"host=h password=hidden dbname=d", "host=h dbname=d"},
		{"password = 'it''s' password='hid\\'den more' host = h", ""},
		{"password='hid\\'den more' host = h sslpassword=hidden", "host=h"},
		{"dbname='a b' options='-c x=\\'y\\''", `dbname='a b' options='-c x=\'y\''`},
		{"user='' PASSWORD=hidden", "user=''"},
		{"postgres://u:hidden@h:1,g:2/d?sslmode=require&password=hidden&pass%77ord=hidden", "postgres://u@h:1,g:2/d?sslmode=require"},
		{"postgresql:///d?host=/run/pg&sslpassword=hidden", "postgresql:///d?host=/run/pg"},
		{"postgres://:hidden@/d", "postgres:///d"},
		{"", ""},
	} {
		got, err := Public(c.text)
		if c.want == "" && c.text != "" {
			if err == nil {
				t.Errorf("%s: %q, and no error", c.text, got)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.text, got, err, c.want)
		}
		if strings.Contains(got, "hid") {
			t.Errorf("%s: %q shows a password", c.text, got)
		}
	}
}

func TestWhatIsNoConnectionString(t *testing.T) {
	for _, c := range []struct {
		text string
		want error
	}{
		{"word", ErrPairs}, {"a b=c", ErrPairs}, {"=x", ErrPairs}, {"password=two words", ErrPairs}, {"password='open", ErrQuote},
		{"mysql://h/d", ErrURL}, {"postgres://u:se/cret@h/d", ErrURL}, {"postgres://u:se@cret@h/d", ErrURL}, {"postgres://u:se?cret@h/d", ErrURL},
		{"postgres://u:se#cret@h/d", ErrURL}, {"postgres://u:se:cret@h/d", ErrURL}, {"postgres://h/d?%zz=1", ErrURL},
	} {
		got, err := Public(c.text)
		if !errors.Is(err, c.want) || got != "" {
			t.Errorf("%q: %q, %v; want %v", c.text, got, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "cret") || strings.Contains(err.Error(), "words")) {
			t.Errorf("%q: %v quotes a password", c.text, err)
		}
	}
}

func TestWhereAConnectionStringEnds(t *testing.T) {
	for _, c := range []struct {
		text, before, after string
		found               bool
	}{
		{"host=h;SELECT 1;", "host=h", "SELECT 1;", true},
		{"password='a;b' host=h;SELECT ';'", "password='a;b' host=h", "SELECT ';'", true},
		{`password='a\';b';SELECT`, `password='a\';b'`, "SELECT", true},
		{`password=a\;b;SELECT`, `password=a\;b`, "SELECT", true},
		{"host=h", "host=h", "", false}, {"password='a;b", "password='a;b", "", false}, {";", "", "", true},
	} {
		if before, after, found := Cut(c.text); before != c.before || after != c.after || found != c.found {
			t.Errorf("%s: %q, %q, %v", c.text, before, after, found)
		}
	}
}
