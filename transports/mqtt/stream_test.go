package mqtt

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// readAll feeds bytes to a stream; what is the library's comes back, and apart from it messages and what was released.
func readAll(t testing.TB, data []byte) (library []byte, messages []*publish, released []uint16, err error) {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() { _, _ = ours.Write(data); ours.Close() }()
	s := newStream(theirs, func(m *publish) { messages = append(messages, m) }, func(id uint16) { released = append(released, id) })
	defer s.Close()
	library, err = io.ReadAll(s)
	return library, messages, released, err
}

func TestMessagesGoPastTheLibrary(t *testing.T) {
	large := append([]byte{0x31, 0x85, 0x80, 0x04, 0, 3, 'b', '/', 'c'}, bytes.Repeat([]byte{'x'}, 0x10000)...)
	theirs := [][]byte{{0x20, 2, 0, 0}, {0x90, 3, 0, 7, 0x80}, {0xb0, 2, 0, 8}, {0x62, 2, 1, 2}, {0x40, 2, 0, 1}, {0x50, 2, 0, 1}, {0x70, 2, 0, 1}, {0xd0, 0}}
	ours := [][]byte{{0x30, 5, 0, 1, 'a', 'h', 'i'}, {0x3b, 6, 0, 1, 'a', 1, 2, 'y'}, large, {0x30, 3, 0, 1, 'a'}}
	var wire []byte
	for i, packet := range theirs {
		wire = append(wire, packet...)
		if i < len(ours) {
			wire = append(wire, ours[i]...)
		}
	}
	library, messages, released, err := readAll(t, wire)
	if err != nil || !bytes.Equal(library, bytes.Join(theirs, nil)) {
		t.Errorf("the library got %x, %v", library, err)
	}
	if len(released) != 1 || released[0] != 258 {
		t.Errorf("released: %v", released)
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
		"more codes than filters": {0x90, 4, 0, 1, 0, 0}, "no code": {0x90, 2, 0, 1}, "a short PUBACK": {0x40, 1, 0}, "a long PINGRESP": {0xd0, 1, 0},
		"a client's packet": {0x82, 6, 0, 1, 0, 1, 'a', 0}, "no kind": {0, 0}, "a large SUBACK": {0x90, 0x80, 0x80, 0x80, 0x01},
	} {
		if library, messages, _, err := readAll(t, wire); !errors.Is(err, ErrPacket) || len(library)+len(messages) > 0 {
			t.Errorf("%s: %x, %v", name, library, err)
		}
	}
	for name, wire := range map[string][]byte{
		"a message": {0x30, 9, 0, 1, 'a'}, "a head": {0x30}, "a topic": {0x30, 9, 0}, "an identifier": {0x32, 9, 0, 1, 'a', 0}, "an answer": {0x40, 2, 0},
		"a large message": {0x30, 0x80, 0x80, 0x80, 0x01, 0, 1, 'a'},
	} {
		if _, _, _, err := readAll(t, wire); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s that is cut short: %v", name, err)
		}
	}
}

// FuzzStream: whatever a broker sends, the library gets only packets that it can take apart, and reading ends.
func FuzzStream(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0x32, 6, 0, 1, 'a', 0, 1, 'x', 0xd0, 0})
	f.Add([]byte{0x90, 4, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		library, messages, _, _ := readAll(t, data)
		total := len(library)
		for _, m := range messages {
			total += len(m.payload) + len(m.topic)
		}
		if total > len(data) {
			t.Errorf("%d bytes were made of %d", total, len(data))
		}
		for in := bytes.NewReader(library); in.Len() > 0; {
			if packet, err := packets.ReadPacket(in); err != nil {
				t.Fatalf("%x: %v", library, err)
			} else if suback, ok := packet.(*packets.SubackPacket); ok && len(suback.ReturnCodes) != 1 {
				t.Fatalf("%v", suback)
			}
		}
	})
}
