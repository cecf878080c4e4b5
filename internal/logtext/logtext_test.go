package logtext

import (
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

func TestAppendAllocatesNothing(t *testing.T) {
	line, text := make([]byte, 0, 256), []byte("/a/b?c=d \x1b é")
	if n := testing.AllocsPerRun(100, func() { line = Append(line[:0], text) }); n != 0 {
		t.Errorf("%v allocations", n)
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
