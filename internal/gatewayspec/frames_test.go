package gatewayspec

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// The structs say what the layout is, and the methods write it.
func TestFramesAreWrittenAsTheyAreDeclared(t *testing.T) {
	frame := FrameHead{0x01020304, 0x05060708}
	message := MessageHead{PayloadSize: 0x01020304, TopicSize: 0x0506, ID: 0x0708, QoS: 9, Flags: 10}
	for _, c := range []struct {
		of   any
		got  []byte
		size int
	}{{frame, frame.Append(nil), FrameHeadSize}, {message, message.Append(nil), MessageHeadSize}} {
		want, err := binary.Append(nil, binary.LittleEndian, c.of)
		if err != nil || !bytes.Equal(c.got, want) || len(want) != c.size {
			t.Errorf("%T: %x, want %x of %d bytes (%v)", c.of, c.got, want, c.size, err)
		}
	}
	if got := ParseFrameHead((*[FrameHeadSize]byte)(frame.Append(nil))); got != frame {
		t.Errorf("%+v became %+v", frame, got)
	}
}
