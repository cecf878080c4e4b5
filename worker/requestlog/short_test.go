package requestlog

import (
	"strings"
	"testing"
)

func TestShort(t *testing.T) {
	waited := example()
	waited.Queue, waited.Status, waited.Sent, waited.URI = 12e6, 503, 1_234_567, []byte("/\x1b"+strings.Repeat("x", longestShown))
	for name, c := range map[string]struct {
		line Line
		r    *Record
		want string
	}{
		"plain":   {Line{Short: true}, example(), "07:06:07 201 POST /cards?n=1 5 B 333.3 ms\n"},
		"colored": {Line{Short: true, Color: true}, example(), "\x1b[2m07:06:07\x1b[0m \x1b[32m201\x1b[0m POST /cards?n=1\x1b[2m 5 B 333.3 ms\x1b[0m\n"},
		"waited":  {Line{Short: true}, waited, `07:06:07 503 POST /\x1b` + strings.Repeat("x", longestShown-2) + "… 1.2 MB 333.3 ms (queue 12 ms)\n"},
	} {
		if got := string(c.line.Append(nil, c.r)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
