package mqtt

import "encoding/binary"

// Kinds of packets that a broker sends (MQTT 3.1.1, section 2.2.1).
const (
	kindConnack  = 2
	kindPublish  = 3
	kindPuback   = 4
	kindPubrec   = 5
	kindPubrel   = 6
	kindPubcomp  = 7
	kindSuback   = 9
	kindUnsuback = 11
	kindPingresp = 13
)

// sizes are what follows the head of those whose length never differs. A subscription names one
// filter, so its answer has one code.
var sizes = map[byte]int{
	kindConnack: 2, kindPuback: 2, kindPubrec: 2, kindPubrel: 2, kindPubcomp: 2, kindSuback: 3, kindUnsuback: 2, kindPingresp: 0,
}

// check looks at the packet of the library's that comes next: one of another form may end the process in it.
func (s *stream) check(kind byte, head, size int) error {
	if wanted, known := sizes[kind]; !known || size != wanted {
		return ErrPacket
	}
	packet, err := s.in.Peek(head + size)
	if err != nil {
		return cutShort(err)
	}
	if kind == kindPubrel {
		s.released(binary.BigEndian.Uint16(packet[head:]))
	}
	return nil
}
