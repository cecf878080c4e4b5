package logging

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// written is one write of a process.
type written struct {
	pid  int32
	text string
}

func TestPiecesOfALineComeTogether(t *testing.T) {
	long := strings.Repeat("x", 30)
	for _, c := range []struct {
		name   string
		lines  bool
		cut    int
		writes []written
		want   []string
		flush  []string // what only time lets out
	}{
		{"whole ones at once", false, 0, []written{{1, "a\n"}, {2, "b\n"}}, []string{"a\n", "b\n"}, nil},
		{"several lines are one record", false, 0, []written{{1, "a\nb\n"}}, []string{"a\nb\n"}, nil},
		{"but not in a stream", true, 0, []written{{1, "a\nb\n"}}, []string{"a\n", "b\n"}, nil},
		{"others come in between", false, 0, []written{{1, "a"}, {2, "other\n"}, {1, "b\n"}}, []string{"other\n", "ab\n"}, nil},
		{"in a stream too", true, 0, []written{{1, "1\na"}, {2, "x\ny"}, {1, "b\n"}, {2, "z\n"}}, []string{"1\n", "x\n", "ab\n", "yz\n"}, nil},
		{"a marked line of the same process", false, 0, []written{{1, "a"}, {1, "\x00server's\n"}, {1, "b\n"}}, []string{"server's\n", "ab\n"}, nil},
		{"never ended", false, 0, []written{{1, "a"}, {1, "b"}}, nil, []string{"ab"}},
		{"nothing", false, 0, []written{{1, ""}}, nil, nil},
		{"too long", false, 10, []written{{1, long + "\n"}, {1, "short\n"}}, []string{"xxxxxxxxx\n", "short\n"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			cuts := 0
			a := assembler{lines: c.lines, cut: c.cut, emit: func(_ int32, _ kind, record []byte) { got = append(got, string(record)) }, was: func() { cuts++ }}
			for _, w := range c.writes {
				data := []byte(w.text)
				a.add(w.pid, data, someTime)
				clear(data) // the buffer is used again
			}
			if !slices.Equal(got, c.want) || (cuts > 0) != (c.cut > 0) {
				t.Fatalf("%q, want %q; %d cut", got, c.want, cuts)
			}
			a.flush(someTime.Add(-time.Second))
			if len(got) != len(c.want) {
				t.Fatalf("let out too early: %q", got)
			}
			a.flush(someTime)
			if late := got[len(c.want):]; !slices.Equal(late, c.flush) {
				t.Fatalf("late: %q, want %q", late, c.flush)
			}
		})
	}
}

func TestALineWithoutAnEndIsLetGoWhenItIsLarge(t *testing.T) {
	size := 0
	a := assembler{emit: func(_ int32, _ kind, record []byte) { size += len(record) }}
	for range partSize/1000 + 2 {
		a.add(1, make([]byte, 1000), someTime)
	}
	if size < partSize || len(a.parts) > 1 {
		t.Fatalf("%d bytes were let go", size)
	}
}
