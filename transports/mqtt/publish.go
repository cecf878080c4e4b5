package mqtt

import (
	"encoding/binary"
	"errors"
)

// ErrPacket is a packet that MQTT does not have; the connection ends with it.
var ErrPacket = errors.New("mqtt: the broker sent a malformed packet")

// publish is a PUBLISH packet (MQTT 3.1.1, section 3.3) that has arrived.
type publish struct {
	topic     string
	payload   []byte
	qos       byte
	retain    bool
	duplicate bool
	id        uint16
}

// parsePublish reads the packet behind its fixed header; the payload aliases body.
func parsePublish(kind byte, body []byte) (*publish, error) {
	m := &publish{qos: kind >> 1 & 3, retain: kind&1 != 0, duplicate: kind&8 != 0}
	if m.qos > 2 || len(body) < 2 {
		return nil, ErrPacket
	}
	size := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	if len(body) < size {
		return nil, ErrPacket
	}
	m.topic, body = string(body[:size]), body[size:]
	if m.qos > 0 {
		if len(body) < 2 {
			return nil, ErrPacket
		}
		if m.id = binary.BigEndian.Uint16(body); m.id == 0 {
			return nil, ErrPacket
		}
		body = body[2:]
	}
	m.payload = body
	return m, nil
}
