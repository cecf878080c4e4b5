package pcre

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMatchesAsPerlDoes(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"printed", "it is printed by\n", true},
		{"printed", "pr1nted", false},
		{"^{.*}$", "{\"a\": 1}\n", true},
		{"^{.*}$", "{\"a\": 1}", true},
		{"^{.*}$", "{\"a\": 1} \n", false},
		{"^a$|b$", "xb\n", true},
		{`^a\z`, "a\n", false},
		{"(?m)^b$", "a\nb\nc\n", true},
		{"^b", "a\nb\n", false},
		{"^(?!{)", "plain\n", true},
		{"^(?!{)", "{json}\n", false},
		{`(\w)\1$`, "see\n", true},
		{"a$\n", "a\n", false}, // $ has taken the line break here; nobody writes this
		{"é+", "caféé", true},
		{"x", "\xff\xfex", true},
	} {
		p, err := Compile(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		if got := p.Match([]byte(c.text)); got != c.want {
			t.Errorf("%q in %q: %v", c.pattern, c.text, got)
		}
	}
}

func TestWhatIsNoExpressionIsRefused(t *testing.T) {
	for _, text := range []string{"(", "[a", `\1`, "(?<"} {
		if _, err := Compile(text); err == nil || !strings.Contains(err.Error(), "regular expression") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAnExpressionThatNeverEndsIsGivenUp(t *testing.T) {
	p, err := Compile(`^(?=(a+)+b)`)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if p.Match([]byte(strings.Repeat("a", 64))) {
		t.Fatal("found what is not there")
	}
	if spent := time.Since(begin); spent > 5*time.Second {
		t.Fatalf("took %v", spent)
	}
}

func TestFindTellsWhereTheGroupsAre(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          []string // the match and its groups; "-": takes no part
	}{
		{`^/u/(\w+)/(\d+)`, "/u/joe/42/x", []string{"/u/joe/42", "joe", "42"}},
		{`^/a`, "/abc", []string{"/a"}},
		{`^/a$`, "/a\n", []string{"/a\n"}},
		{`(x)(y)?`, "ax", []string{"x", "x", "-"}},
		{`^/(?!admin)(.*)(z)?`, "/é\xffb", []string{"/é\xffb", "é\xffb", "-"}},
		{`(é)(?=b)`, "aéb", []string{"é", "é"}},
	} {
		p, err := Compile(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		spans, found := p.Find(nil, []byte(c.text))
		var got []string
		for i := 0; i+1 < len(spans); i += 2 {
			group := "-"
			if spans[i] >= 0 {
				group = c.text[spans[i]:spans[i+1]]
			}
			got = append(got, group)
		}
		if !found || !slices.Equal(got, c.want) || p.Groups() != len(c.want)-1 {
			t.Errorf("%q in %q: %q, %d groups", c.pattern, c.text, got, p.Groups())
		}
		if _, found := p.Find(nil, []byte("#")); found {
			t.Errorf("%q is found in #", c.pattern)
		}
	}
}

// FuzzPlain: what is told without an engine is what the engine would say.
func FuzzPlain(f *testing.F) {
	for _, pattern := range []string{"", "^", "$", ".*", "^/a", "/a$", "^/a$", `^/a\z`, "a", "^/a(.*)$", "(a)?", "^a?", "(?i)^a", "^/a.*", "a*", "^(a|b)", "(?m)^a$", "^^a", "a$$", "^/a(b)?(.*)"} {
		for _, text := range []string{"", "/a", "/a\n", "x/a", "/ab", "A", "\n", "b\na", "/a\n\n"} {
			f.Add(pattern, text)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := Compile(pattern)
		if err != nil || p.linear == nil {
			return
		}
		if got, want := p.Match([]byte(text)), p.linear.MatchString(text); got != want {
			t.Errorf("%q in %q: %v, the engine says %v", pattern, text, got, want)
		}
	})
}
