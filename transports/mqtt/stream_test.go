package mqtt

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

// readAll feeds bytes to a stream; what is the library's comes back, messages apart.
func readAll(t testing.TB, data []byte) (library []byte, messages []*publish, err error) {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() { _, _ = ours.Write(data); ours.Close() }()
	s := newStream(theirs, func(m *publish) { messages = append(messages, m) })
	defer s.Close()
	library, err = io.ReadAll(s)
	return library, messages, err
}

func TestMessagesGoPastTheLibrary(t *testing.T) {
	connack, suback := []byte{0x20, 2, 0, 0}, append([]byte{0x90, 130, 1}, make([]byte, 130)...)
	large := append([]byte{0x31, 0x85, 0x80, 0x04, 0, 3, 'b', '/', 'c'}, bytes.Repeat([]byte{'x'}, 0x10000)...)
	var wire []byte
	for _, packet := range [][]byte{connack, {0x30, 5, 0, 1, 'a', 'h', 'i'}, {0x3b, 6, 0, 1, 'a', 1, 2, 'y'}, suback, large, {0xd0, 0}, {0x30, 3, 0, 1, 'a'}} {
		wire = append(wire, packet...)
	}
	library, messages, err := readAll(t, wire)
	if err != nil || !bytes.Equal(library, append(append(connack, suback...), 0xd0, 0)) {
		t.Errorf("the library got %x, %v", library, err)
	}
	if len(messages) != 4 {
		t.Fatalf("%d messages", len(messages))
	}
	if m := messages[0]; m.topic != "a" || string(m.payload) != "hi" || m.qos != 0 || m.retain || m.duplicate {
		t.Errorf("%+v", m)
	}
	if m := messages[1]; m.id != 258 || string(m.payload) != "y" || m.qos != 1 || !m.retain || !m.duplicate {
		t.Errorf("%+v", m)
	}
	if m := messages[2]; m.topic != "b/c" || len(m.payload) != 0x10000 || !m.retain {
		t.Errorf("%s: %d bytes", m.topic, len(m.payload))
	}
	if m := messages[3]; len(m.payload) != 0 {
		t.Errorf("%+v", m)
	}
}

func TestMalformedPacketsEndTheConnection(t *testing.T) {
	for name, wire := range map[string][]byte{
		"QoS 3": {0x36, 5, 0, 1, 'a', 0, 1}, "no topic": {0x30, 1, 0}, "topic beyond the packet": {0x30, 3, 0, 9, 'a'},
		"no identifier": {0x32, 3, 0, 1, 'a'}, "identifier 0": {0x32, 5, 0, 1, 'a', 0, 0}, "length without end": {0x30, 255, 255, 255, 255, 1},
	} {
		if _, messages, err := readAll(t, wire); !errors.Is(err, ErrPacket) || len(messages) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := readAll(t, []byte{0x30, 9, 0, 1, 'a'}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a packet that is cut short: %v", err)
	}
	if _, _, err := readAll(t, []byte{0x30}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a head that is cut short: %v", err)
	}
}

// FuzzStream: whatever a broker sends, nothing is the library's that is a message's, and reading ends.
func FuzzStream(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0x32, 6, 0, 1, 'a', 0, 1, 'x', 0xd0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		library, messages, _ := readAll(t, data)
		total := len(library)
		for _, m := range messages {
			total += len(m.payload) + len(m.topic)
		}
		if total > len(data) {
			t.Errorf("%d bytes were made of %d", total, len(data))
		}
	})
}
