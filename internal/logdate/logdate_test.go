package logdate

import (
	"testing"
	"time"
)

func TestAppend(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for text, want := range map[string]string{
		"true":              "> Wed Mar  4 05:06:07 2026",
		"%Y-%m-%d %H:%M:%S": "> 2026-03-04 05:06:07",
		"[%s] 100%%":        "> [1772600767] 100%",
		"plain":             "> plain",
	} {
		layout, err := Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := string(layout.Append([]byte("> "), at)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestParseRefusesWhatIsNoFormat(t *testing.T) {
	for _, text := range []string{"%", "%!", "%Q"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q was taken for a format", text)
		}
	}
}
