package logging

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"io"
	"slices"
	"testing"
	"time"
)

var someTime = time.Date(2026, 11, 23, 0, 31, 48, 123456000, time.UTC)

func TestEncodersChangeRecords(t *testing.T) {
	for _, c := range []struct{ encoder, record, want string }{
		{"prefix PRE ", "text\n", "PRE text\n"},
		{"prefix", "text\n", "text\n"},
		{"suffix  END", "text\n", "text\n END"},
		{"nl", "text", "text\n"},
		{"format [${unix}] ${msgnl}", "text\n", "[1795393908] text\n"},
		{"format ${millis} ${micros} ${msg}", "text\n", "1795393908123 1795393908123456 text"},
		{"format ${strftime:%Y-%m-%d %H:%M} ${msg}", "text\n", "2026-11-23 00:31 text"},
		{`format ${msg}\n`, "text\n", `text\n`},
		{"format no variable, ${open", "text\n", "no variable, ${open"},
		{"format ${nosuch}|${msg}", "a", "|a"},
		{"format ${msg}", "\n", ""},
		{`json {"m":"${msg}"}`, "a \"b\" \\ \t\r\x01\n", `{"m":"a \"b\" \\ \t\r\u0001"}`},
		{`json {"m":"${msgnl}"}`, "two\nlines\n", `{"m":"two\nlines\n"}`},
		{`json "${msg}"`, "caf\xc3\xa9 \xff", `"café ` + "\ufffd" + `"`},
		{"json:app ${msg}", "x\n", "x"},
	} {
		e, err := parseEncoder(c.encoder, func(string) {})
		if err != nil {
			t.Errorf("%s: %v", c.encoder, err)
			continue
		}
		if got := e.encode(nil, []byte(c.record), someTime); string(got) != c.want {
			t.Errorf("%s of %q: %q, want %q", c.encoder, c.record, got, c.want)
		}
	}
}

func TestWhateverIsLoggedIsAJSONString(t *testing.T) {
	e, err := parseEncoder(`json {"m":"${msg}"}`, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	var document map[string]string
	if err := json.Unmarshal(e.encode(nil, every, someTime), &document); err != nil || len(document["m"]) < 256 {
		t.Fatalf("%q: %v", document["m"], err)
	}
}

func TestCompressedRecordsAreWholeFiles(t *testing.T) {
	openers := map[string]func(r io.Reader) (io.ReadCloser, error){
		"gzip":     func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
		"compress": zlib.NewReader,
	}
	for name, open := range openers {
		e, err := parseEncoder(name, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		r, err := open(bytes.NewReader(e.encode(nil, []byte("text\n"), someTime)))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || string(text) != "text\n" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestOddEncodersAreRefusedOrNoted(t *testing.T) {
	var notes []string
	note := func(text string) { notes = append(notes, text) }
	for _, text := range []string{"nosuch", "nosuch:app x", "", "crypto aes:x"} {
		if _, err := parseEncoder(text, note); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if _, err := parseEncoder("format ${nosuch}", note); err != nil || len(notes) != 1 {
		t.Errorf("%v, %q", err, notes)
	}
}

func TestEncodersAreForTheirLoggerInOrder(t *testing.T) {
	var all []encoder
	for _, text := range []string{"prefix 1", "prefix:app 2", "nl:other", "suffix !"} {
		e, err := parseEncoder(text, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	var got []string
	for _, logger := range []string{"", "app", "other"} {
		got = append(got, string(encode(all, logger, []byte("x"), someTime)))
	}
	if want := []string{"1x!", "21x!", "1x\n!"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
