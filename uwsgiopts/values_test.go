package uwsgiopts

import (
	"math"
	"testing"
)

func TestLeadingInt(t *testing.T) {
	tests := []struct {
		text string
		want int64
		rest string
		bad  bool
	}{
		{"12", 12, "", false},
		{"  +7 ", 7, " ", false},
		{"-3x", -3, "x", false},
		{"60 ; seconds", 60, " ; seconds", false},
		{"", 0, "", false},
		{"x1", 0, "x1", false},
		{"-", 0, "-", false},
		{"0x10", 0, "x10", false},
		{"9223372036854775808", math.MaxInt64, "", true},
	}
	for _, tt := range tests {
		n, rest, err := leadingInt(tt.text)
		if n != tt.want || rest != tt.rest || (err != nil) != tt.bad {
			t.Errorf("%q: %d, %q, %v", tt.text, n, rest, err)
		}
	}
}

func TestFlagsAreOnUnlessTheySayNo(t *testing.T) {
	for _, text := range []string{"true", "", "1", "00", "yes", "anything", "false ; no", " off"} {
		if !(given{text: text}).on() {
			t.Errorf("%q is off", text)
		}
	}
	for _, text := range []string{"false", "False", "off", "NO", "0"} {
		if (given{text: text}).on() {
			t.Errorf("%q is on", text)
		}
	}
}

func TestSizes(t *testing.T) {
	tests := []struct {
		text             string
		bytes, megabytes int64
		notices          int
	}{
		{"512", 512, 512 << 20, 0},
		{"32k", 32 << 10, 32 << 20, 2},
		{"2M", 2 << 20, 2 << 20, 2},
		{"1.5", 1, 3 << 19, 1},
		{"64 # big", 64, 64 << 20, 2},
		{"true", 0, 0, 2},
	}
	for _, tt := range tests {
		notices := 0
		g := given{name: "x", text: tt.text, notice: func(string, ...any) { notices++ }}
		b, err := g.bytes()
		if err != nil || b != tt.bytes {
			t.Errorf("%q: %d bytes, %v", tt.text, b, err)
		}
		m, err := g.megabytes()
		if err != nil || m != tt.megabytes {
			t.Errorf("%q: %d bytes by megabytes, %v", tt.text, m, err)
		}
		if notices != tt.notices {
			t.Errorf("%q: %d notices", tt.text, notices)
		}
	}
	for _, text := range []string{"-1", "99999999999999999999", "9223372036854775807k"} {
		if b, err := (given{text: text, notice: func(string, ...any) {}}).bytes(); err == nil {
			t.Errorf("%q is read as %d bytes", text, b)
		}
	}
}
