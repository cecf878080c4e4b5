package uwsgiopts

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// checkParse: whatever is given, the answer is a Config, perhaps with a refusal that has a status.
func checkParse(t *testing.T, cfg *Config, err error) {
	t.Helper()
	var refused *ExitError
	switch {
	case cfg == nil:
		t.Fatal("no Config")
	case err != nil && (!errors.As(err, &refused) || refused.Status == 0):
		t.Fatalf("%v is no refusal with a status", err)
	}
}

func FuzzIni(f *testing.F) {
	for _, seed := range []string{
		"[uwsgi]\nmaster = true\n", "[uwsgi]\r\nfor = a b\r\nx = %(_)\r\nendfor =\r\n", "[uwsgi]\nif-env = A\nx=%(n + 1)\nelse\nendif\n",
		"[a]\n[uwsgi]\nini = :a\nset = a=b\nset-ph=c=d\n", "\xef\xbb\xbf[uwsgi]\n%", "[uwsgi]\ndeclare-option = a=a=$1\na = 1\n", "=\n[=\n%%%",
	} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		// What runs commands, asks the network or reads endless files is not for fuzzing.
		for _, word := range []string{"://", "resolve", "/dev", "/proc", "/sys", "uid", "gid", "for-times"} {
			if strings.Contains(text, word) {
				t.Skip()
			}
		}
		cfg, err := Parse([]string{"--ini", "-"}, nil, ParseOptions{Dir: dir, Stdin: strings.NewReader(text)})
		checkParse(t, cfg, err)
		for _, l := range parseIni(text, "uwsgi") {
			if strings.ContainsAny(l.key+l.value, "\n") || l.number < 1 || l.number > 1+strings.Count(text, "\n") {
				t.Fatalf("%+v", l)
			}
		}
	})
}

func FuzzPlaceholders(f *testing.F) {
	for _, seed := range []string{"%(a)", "x%(b %(a))", "$(HOME:-%(a))", "%(a + 1 * 2)", "%(%(%(", "%(a)%(b)%(a)", "$(A-$(B-c))", "%(9223372036854775807 ++)"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.Contains(a+b, "@(") {
			t.Skip()
		}
		cfg, err := Parse([]string{"--set-ph", "a=" + a, "--set", "b=" + b, "--set", "c=%(a)%(b)"}, []string{"HOME=" + b}, ParseOptions{})
		checkParse(t, cfg, err)
	})
}

func FuzzArgv(f *testing.F) {
	for _, seed := range []string{"-MTLip2\x00--\x00x", "--set\x00a=b", "-p", "--proc\x002", "--master=true", "-C660\x00[x]", "-\x00--=\x00-s"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, words string) {
		for _, word := range []string{"://", "res", "/dev", "/proc", "/sys", "id", "for-t"} {
			if strings.Contains(words, word) {
				t.Skip()
			}
		}
		cfg, err := Parse(strings.Split(words, "\x00"), nil, ParseOptions{Dir: dir})
		checkParse(t, cfg, err)
	})
}

func FuzzFormats(f *testing.F) {
	f.Add("yaml", "uwsgi:\n  a: &x [1, 2]\n  b: *x\n  <<: {c: d}\n")
	f.Add("json", `{"uwsgi": {"a": [1, [2]], "b": {"c": null}}}`)
	f.Add("xml", `<uwsgi><a id="b">1</a><app mountpoint="/"/></uwsgi>`)
	f.Fuzz(func(t *testing.T, format, text string) {
		parse := formats[format]
		if parse == nil {
			t.Skip()
		}
		lines, err := parse(text, "uwsgi")
		if err != nil && len(lines) > 0 {
			t.Fatalf("both settings and an error: %v", err)
		}
	})
}

// Each value doubles the one before it: without a bound this would fill the memory.
func TestPlaceholdersCannotGrowWithoutBound(t *testing.T) {
	args := []string{"--set", "v0=xxxxxxxxxxxxxxxx"}
	for i := range 40 {
		args = append(args, "--set", fmt.Sprintf("v%d=-%%(v%d)%%(v%d)", i+1, i, i))
	}
	_, err := Parse(args, nil, ParseOptions{})
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("not refused: %v", err)
	}
}

func TestLargeFilesAreReadQuickly(t *testing.T) {
	const limit = slowdown * 20 * time.Millisecond
	text := largeIni()
	dir := t.TempDir()
	best := time.Hour
	for tries := 0; best > limit && tries < 50; tries++ { // one undisturbed run is enough: the machine may have more to do
		start := time.Now()
		if _, err := Parse([]string{"--ini", "-"}, nil, ParseOptions{Dir: dir, Stdin: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	if best > limit {
		t.Errorf("2000 lines took %v, more than %v", best, limit)
	}
}

func BenchmarkParse2000Lines(b *testing.B) {
	text := largeIni()
	dir := b.TempDir()
	for b.Loop() {
		if _, err := Parse([]string{"--ini", "-"}, nil, ParseOptions{Dir: dir, Stdin: strings.NewReader(text)}); err != nil {
			b.Fatal(err)
		}
	}
}

// largeIni is 2,000 lines: variables, placeholders, known and misspelt options.
func largeIni() string {
	var b strings.Builder
	b.WriteString("[uwsgi]\n")
	for i := range 500 {
		fmt.Fprintf(&b, "var%d = /srv/%d\nenv = PATH_%d=%%(var%d)/x\nstatic-map = /%d=%%(var%d)\nmisspelt-option-%d = true\n", i, i, i, i, i, i, i)
	}
	return b.String()
}
