package scgi

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"envoxyd/protocol/uwsgi"
)

func netstring(text string) string { return strconv.Itoa(len(text)) + ":" + text + "," }

func TestParse(t *testing.T) {
	whole := netstring("CONTENT_LENGTH\x003\x00SCGI\x001\x00X\x00\x00")
	want := uwsgi.AppendVar(uwsgi.AppendVar(uwsgi.AppendVar(nil, "CONTENT_LENGTH", "3"), "SCGI", "1"), "X", "")
	for end := range len(whole) {
		if h, err := Parse([]byte(whole[:end])); err != nil || h.Whole() {
			t.Fatalf("%d bytes: %+v, %v", end, h, err)
		}
	}
	h, err := Parse([]byte(whole + "abc"))
	if err != nil || !h.Whole() || h.Size != len(whole) {
		t.Fatalf("got %+v, %v", h, err)
	}
	if got, err := h.AppendVars(nil); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, data := range []string{"GET / HTTP/1.1", ":,", "-1:", "1x:", "9999999:", "1234567", "3:abc;", " 3:abc,"} {
		if h, err := Parse([]byte(data)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %+v, %v", data, h, err)
		}
	}
}

func TestAppendVarsRefuses(t *testing.T) {
	for _, text := range []string{"A", "A\x00", "A\x00b", "A\x00b\x00C"} {
		h, err := Parse([]byte(netstring(text)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.AppendVars(nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("24:CONTENT_LENGTH\x003\x00SCGI\x001\x00,abc"))
	f.Add([]byte("0:,"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := Parse(data)
		if err != nil || !h.Whole() {
			return
		}
		if h.Size > len(data) {
			t.Fatalf("a head of %d bytes from %d", h.Size, len(data))
		}
		block, err := h.AppendVars(nil)
		for err == nil && len(block) > 0 {
			_, _, block, err = uwsgi.Next(block)
			if err != nil && !errors.Is(err, uwsgi.ErrEmptyKey) {
				t.Fatalf("the block is broken: %v", err)
			}
		}
	})
}

func TestAppendVarsRefusesWhatDoesNotFit(t *testing.T) {
	long := strings.Repeat("x", uwsgi.MaxBlock+1)
	for _, text := range []string{"A\x00" + long + "\x00", long + "\x00b\x00"} {
		h, err := Parse([]byte(netstring(text)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.AppendVars(nil); !errors.Is(err, uwsgi.ErrTooLong) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
