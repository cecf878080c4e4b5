package pcre

import (
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
