package fastcgi

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"envoxyd/protocol/uwsgi"
)

func TestNext(t *testing.T) {
	record := "\x01\x05\x01\x02\x00\x03\x02\x00abc\x00\x00"
	for end := range len(record) {
		if _, size, err := Next([]byte(record[:end])); size != 0 || err != nil {
			t.Fatalf("%d bytes: size %d, %v", end, size, err)
		}
	}
	r, size, err := Next([]byte(record + "more"))
	if err != nil || size != len(record) || r.Type != TypeStdin || r.ID != 0x102 || string(r.Content) != "abc" {
		t.Errorf("got %+v, %d, %v", r, size, err)
	}
	for _, other := range []string{"GET / HTTP/1.1", "\x00", "\x02\x01"} {
		if _, _, err := Next([]byte(other)); !errors.Is(err, ErrVersion) {
			t.Errorf("%q: %v", other, err)
		}
	}
}

func TestRole(t *testing.T) {
	for content, want := range map[string]int{"\x00\x01\x00\x00\x00\x00\x00\x00": RoleResponder, "\x00\x03": 3, "\x00": 0, "": 0} {
		if got := Role([]byte(content)); got != want {
			t.Errorf("%q: got %d, want %d", content, got, want)
		}
	}
}

func TestAppendVars(t *testing.T) {
	long := strings.Repeat("v", 300)
	for name, c := range map[string]struct {
		params string
		want   []byte
		err    error
	}{
		"none":            {"", nil, nil},
		"short":           {"\x01\x02Axy\x01\x00B", uwsgi.AppendVar(uwsgi.AppendVar(nil, "A", "xy"), "B", ""), nil},
		"a long value":    {"\x01\x80\x00\x01\x2cA" + long, uwsgi.AppendVar(nil, "A", long), nil},
		"a long form":     {"\x80\x00\x00\x01\x01Ax", uwsgi.AppendVar(nil, "A", "x"), nil},
		"no value length": {"\x01", nil, ErrParams},
		"cut length":      {"\x01\x80\x00", nil, ErrParams},
		"cut value":       {"\x01\x05Axy", nil, ErrParams},
		"beyond the end":  {"\x01\xff\xff\xff\xffA", nil, ErrParams},
		"too long":        {"\x01\x80\x01\x00\x00A" + strings.Repeat("x", uwsgi.MaxBlock+1), nil, uwsgi.ErrTooLong},
		"too long a name": {"\x80\x01\x00\x00\x00" + strings.Repeat("x", uwsgi.MaxBlock+1), nil, uwsgi.ErrTooLong},
	} {
		got, err := AppendVars(nil, []byte(c.params))
		if !errors.Is(err, c.err) || err == nil && !bytes.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestOutput(t *testing.T) {
	if got := AppendStdout([]byte("<"), 7, nil); string(got) != "<" {
		t.Errorf("nothing became %q", got)
	}
	data := bytes.Repeat([]byte("x"), 2*maxContent+5)
	stream := AppendEnd(AppendStdout(nil, 7, data), 7, StatusComplete)
	var sizes []int
	var text []byte
	for len(stream) > 0 {
		r, size, err := Next(stream)
		if err != nil || size == 0 || r.ID != 7 {
			t.Fatalf("record %d: %+v, %v", len(sizes), r, err)
		}
		stream = stream[size:]
		if r.Type == TypeEnd {
			if len(stream) > 0 || !bytes.Equal(r.Content, make([]byte, 8)) {
				t.Errorf("the end holds %q and %d bytes follow", r.Content, len(stream))
			}
			break
		}
		sizes, text = append(sizes, len(r.Content)), append(text, r.Content...)
	}
	if !bytes.Equal(text, data) || len(sizes) != 4 || sizes[0] != maxContent || sizes[2] != 5 || sizes[3] != 0 {
		t.Errorf("%d bytes in records of %v", len(text), sizes)
	}
}

// What is read never reaches beyond what was given, and parameters survive the way there and back.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("\x01\x04\x00\x01\x00\x05\x03\x00\x01\x02Axy\x00\x00\x00"))
	f.Add([]byte("\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, size, err := Next(data)
		if err != nil || size == 0 {
			return
		}
		if size > len(data) || len(r.Content) > size-headerSize {
			t.Fatalf("size %d of %d, content %d", size, len(data), len(r.Content))
		}
		block, err := AppendVars(nil, r.Content)
		if err != nil {
			return
		}
		total := 0
		for len(block) > 0 {
			key, value, rest, err := uwsgi.Next(block)
			if errors.Is(err, uwsgi.ErrEmptyKey) {
				return
			}
			if err != nil {
				t.Fatalf("the block is broken: %v", err)
			}
			total += len(key) + len(value)
			block = rest
		}
		if total > len(r.Content) {
			t.Fatalf("%d bytes of names and values from %d", total, len(r.Content))
		}
	})
}
