package tracing

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func record(t testing.TB) []byte {
	c, ok := Parse([]byte(example))
	if !ok {
		t.Fatal("the example is wrong")
	}
	span := Span{Context: c, Parent: [8]byte{1}, Kind: Consumer, Failed: true, Start: 1 << 60, Nanos: 77, State: []byte("a=1"), Name: []byte("GET"), Dropped: 3}
	text := span.Append(nil)
	text = AppendAttribute(text, Path, "/x")
	text = AppendAttribute(text, UserAgent, "")
	return AppendAttribute(text, Method, strings.Repeat("m", 2*longest))
}

func TestRecordsAreReadAsTheyAreWritten(t *testing.T) {
	text := record(t)
	got, err := ParseRecord(text)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Context.Append(nil)) != example || got.Parent != [8]byte{1} || got.Kind != Consumer || !got.Failed || got.Start != 1<<60 ||
		got.Nanos != 77 || string(got.State) != "a=1" || string(got.Name) != "GET" || got.Dropped != 3 {
		t.Errorf("%+v", got)
	}
	found := map[Attribute]string{}
	for key, value := range got.Attributes {
		found[key] = string(value)
	}
	if len(found) != 2 || found[Path] != "/x" || found[Method] != strings.Repeat("m", longest) {
		t.Errorf("%v", found)
	}
	for size := range text {
		if _, err := ParseRecord(text[:size]); err == nil && size != len(text)-longest-3 && size != len(text)-longest-3-5 { // where an attribute ends
			t.Errorf("a record of %d bytes was read", size)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(record(f))
	f.Fuzz(func(t *testing.T, text []byte) {
		span, err := ParseRecord(text)
		if err != nil {
			return
		}
		again := span.Append(nil)
		for key, value := range span.Attributes {
			again = appendText(append(again, byte(key)), value)
		}
		second, err := ParseRecord(again)
		if err != nil || second.Context != span.Context || !bytes.Equal(second.attributes, span.attributes) {
			t.Fatalf("%+v became %+v: %v", span, second, err)
		}
	})
}

func TestSendersNeverWait(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	s := NewSender(fds[0])
	text := record(t)
	sent := 0
	for ; s.dropped.Load() == 0; sent++ {
		s.Send(text, 0)
	}
	s.Send(text, s.Dropped()) // with what it would have said
	if got := s.Dropped(); got != 2 || s.Dropped() != 0 {
		t.Errorf("%d were lost", got)
	}
	into := make([]byte, MaxRecord)
	for range sent - 1 {
		if n, err := unix.Read(fds[1], into); err != nil || !bytes.Equal(into[:n], text) {
			t.Fatalf("%x: %v", into[:n], err)
		}
	}
	s.Send(text, 0)
	if s.Dropped() != 0 {
		t.Error("there was room")
	}
	unix.Close(fds[0])
	s.Send(text, 0)
	if s.Dropped() != 1 {
		t.Error("a record was sent nowhere")
	}
}
