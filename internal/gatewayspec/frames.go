package gatewayspec

import "encoding/binary"

// The numbers before what workers and the gateway send each other, little endian. internal/layout
// writes them down for Python.

// FrameHead stands before each call to the gateway and each answer: a head of JSON follows, then the payload.
type FrameHead struct {
	HeadSize, PayloadSize uint32
}

// FrameHeadSize is how many bytes a FrameHead takes.
const FrameHeadSize = 8

// Append appends the numbers to dst.
func (f FrameHead) Append(dst []byte) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(dst, f.HeadSize), f.PayloadSize)
}

// ParseFrameHead reads what Append wrote.
func ParseFrameHead(from *[FrameHeadSize]byte) FrameHead {
	return FrameHead{binary.LittleEndian.Uint32(from[:]), binary.LittleEndian.Uint32(from[4:])}
}

// MessageHead stands before each message of a delivery: its topic follows, then its payload.
type MessageHead struct {
	PayloadSize uint32
	TopicSize   uint16
	ID          uint16
	QoS         uint8
	Flags       uint8
	_           [2]byte
}

// MessageHeadSize is how many bytes a MessageHead takes.
const MessageHeadSize = 12

// The flags of a message.
const (
	Retained = 1 << iota
	Repeated // it may have been handled before
)

// Append appends the numbers to dst.
func (m MessageHead) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, m.PayloadSize)
	dst = binary.LittleEndian.AppendUint16(dst, m.TopicSize)
	dst = binary.LittleEndian.AppendUint16(dst, m.ID)
	return append(dst, m.QoS, m.Flags, 0, 0)
}

// What a handler of MQTT messages writes for each message of a delivery, in order. Several
// may come at a time; what a worker had done that was killed is in its slot of Progress.
const (
	Handled   = '.' // and also when the service has no handler for it
	Failed    = 'E' // the handler raised; it has been logged
	Elsewhere = '?' // another process is the owner
	Later     = '+' // the rest of the delivery has not been begun: its time was over
)
