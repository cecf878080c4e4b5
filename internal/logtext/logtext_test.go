package logtext

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

func TestAppend(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "",
		"/a?b=c%0a\t\\ ~":  "/a?b=c%0a\t\\ ~",
		"a\r\nb\x00\x7f":   `a\x0d\x0ab\x00\x7f`,
		"\x1b[2J":          `\x1b[2J`,
		"café €":           "café €",
		"\x9b2J":           `\x9b2J`,
		"\u009b2J":         `\xc2\x9b2J`,
		"\u2028\u202e":     `\xe2\x80\xa8\xe2\x80\xae`,
		"\xe2\x82":         `\xe2\x82`,
		"\ufffd\xff":       "\ufffd\\xff",
		"\U0001f600\u00ad": "\U0001f600\\xc2\\xad",
	} {
		if got := string(Append([]byte(">"), text)); got != ">"+want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		if got := string(Append(nil, []byte(text))); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		`say "a\b"/`:            `say \"a\\b\"/`,
		"a\r\nb\tc\x00\x7f":     `a\r\nb\tc\u0000\u007f`,
		"\x1b[2J\u009b\u2028":   `\u001b[2J\u009b\u2028`,
		"café €\U0001f600":      "café €\U0001f600",
		"\xff\xe2\x82.\ufffd":   "\ufffd\ufffd\ufffd.\ufffd",
		"\U000e0001 a language": `\udb40\udc01 a language`,
	} {
		if got := string(AppendJSON([]byte(">"), text)); got != ">"+want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		var back string
		if err := json.Unmarshal([]byte(`"`+want+`"`), &back); err != nil || back != strings.ToValidUTF8(text, "\ufffd") && !strings.Contains(text, "\xe2") {
			t.Errorf("%q is read as %q, %v", want, back, err)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	line, text := make([]byte, 0, 256), []byte("/a/b?c=d \x1b é")
	for name, appended := range map[string]func(line, text []byte) []byte{"Append": Append[[]byte], "AppendJSON": AppendJSON[[]byte]} {
		if n := testing.AllocsPerRun(100, func() { line = appended(line[:0], text) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte("a\n\u009b\xffé"))
	f.Fuzz(func(t *testing.T, text []byte) {
		line := Append(nil, text)
		for _, r := range string(line) {
			if r != '\t' && !unicode.IsPrint(r) {
				t.Fatalf("%q is in %q", r, line)
			}
		}
		if again := Append(nil, line); string(again) != string(line) {
			t.Fatalf("%q became %q", line, again)
		}
	})
}
