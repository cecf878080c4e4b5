package logging

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestATracebackIsOneRecord(t *testing.T) {
	const one = "Traceback (most recent call last):\n|  File \"a.py\", line 1\n|    f()\n|    ~^^\n|ValueError: x\n"
	chained := one + "|\n|During handling of the above exception, another exception occurred:\n|\n|" + one
	whole := func(text string) string { return strings.ReplaceAll(text, "|", "") }
	for name, c := range map[string]struct {
		writes string
		want   []string
	}{
		"line by line":      {"a\n|" + one + "|b\n", []string{"a\n", whole(one), "b\n"}},
		"linked to another": {chained + "|b\n", []string{whole(chained), "b\n"}},
		"in one write":      {"ERROR:root:x\n" + whole(one) + "|b\n", []string{"ERROR:root:x\n" + whole(one), "b\n"}},
		"never ended":       {"Traceback (most recent call last):\n|  File", []string{"Traceback (most recent call last):\n  File"}},
		"two after another": {one + "|" + one, []string{whole(one), whole(one)}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, lines := range []bool{false, true} {
				var got []string
				a := assembler{lines: lines, tracebacks: true, emit: func(_ int32, _ kind, text []byte) { got = append(got, string(text)) }}
				for text := range strings.SplitSeq(c.writes, "|") {
					a.add(1, []byte(text), someTime)
				}
				a.flush(someTime.Add(-time.Second))
				a.flush(someTime)
				for i := range 2 { // half a line is let go of before what it belongs to
					a.flush(someTime.Add(time.Duration(i) * time.Hour))
				}
				want := c.want
				if lines && name == "in one write" {
					want = []string{"ERROR:root:x\n", whole(one), "b\n"}
				}
				if !slices.Equal(got, want) || a.waiting() {
					t.Fatalf("lines %v: %q, want %q", lines, got, want)
				}
			}
		})
	}
}

func TestATracebackOfOneProcessHoldsUpNoOther(t *testing.T) {
	var got []string
	a := assembler{tracebacks: true, emit: func(_ int32, _ kind, text []byte) { got = append(got, string(text)) }}
	for _, w := range []written{{1, "Traceback (most recent call last):\n"}, {2, "  other\n"}, {1, "\x01GET /\n"}, {1, "  f()\n"}, {1, "E: x\n"}} {
		a.add(w.pid, []byte(w.text), someTime)
	}
	a.flush(someTime)
	if want := []string{"  other\n", "GET /\n", "Traceback (most recent call last):\n  f()\nE: x\n"}; !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
}

func TestATracebackIsBounded(t *testing.T) {
	longest, total := 0, 0
	a := assembler{tracebacks: true, emit: func(_ int32, _ kind, text []byte) { longest, total = max(longest, len(text)), total+len(text) }}
	wrote := 0
	for i := range 2 * tracebackSize / 100 {
		text := "  " + strings.Repeat("x", 97) + "\n"
		if i == 0 {
			text = "Traceback (most recent call last):\n"
		}
		wrote += len(text)
		a.add(1, []byte(text), someTime)
	}
	a.flush(someTime)
	if longest > tracebackSize || total != wrote {
		t.Fatalf("%d bytes of %d, %d in one record", total, wrote, longest)
	}
}

func TestMarksTellKinds(t *testing.T) {
	for _, lines := range []bool{false, true} {
		var got []kind
		a := assembler{lines: lines, emit: func(_ int32, k kind, text []byte) { got = append(got, k) }}
		for _, text := range []string{"a\n", "\x00b\n", "\x01c\n", "\x02d\n"} {
			a.add(1, []byte(text), someTime)
		}
		if want := []kind{foreign, own, request, foreign}; !slices.Equal(got, want) {
			t.Fatalf("lines %v: %v", lines, got)
		}
	}
}
