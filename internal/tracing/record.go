package tracing

import (
	"encoding/binary"
	"errors"
)

// Kind is what a span is about; the numbers are OpenTelemetry's.
type Kind uint8

// The kinds of spans that there are.
const (
	Internal Kind = 1
	Server   Kind = 2
	Consumer Kind = 5
)

// Attribute is the key of one of a span's attributes.
type Attribute uint8

// The attributes that a record may have. Their values are texts; the exporter knows which of them are numbers.
const (
	Method          Attribute = iota + 1 // of HTTP, as it came
	Path                                 // of the URL
	Scheme                               // of the URL
	ServerAddress                        // what the client has called this server
	ServerPort                           // likewise
	ClientAddress                        // of the peer, or of the client that a proxy has named
	UserAgent                            // as the client says
	Protocol                             // NAME/VERSION
	StatusCode                           // of the response
	ErrorType                            // what has failed
	WorkerID                             // the worker's number
	MessagingTopic                       // what the message was published to
	MessagingServer                      // the key of the broker in the configuration
	QueueMicros                          // how long the request has waited for a worker
	attributes                           // how many there are, and one
)

// longest bounds each text of a record, in bytes.
const longest = 1024

// MaxRecord bounds a record, in bytes.
const MaxRecord = 16 << 10

// Span is one that has ended.
type Span struct {
	Context
	Parent  [8]byte // zero: the trace begins here
	Kind    Kind
	Failed  bool
	Start   int64 // unix nanoseconds
	Nanos   int64 // how long it has taken
	State   []byte
	Name    []byte
	Dropped uint32 // how many spans its sender has lost since the last one

	attributes []byte // as in the record
}

const recordHead = 16 + 8 + 1 + 8 + 1 + 1 + 8 + 8 + 4

// Append appends the head of s's record to dst. AppendAttribute adds what it has beside.
func (s *Span) Append(dst []byte) []byte {
	dst = append(append(append(append(dst, s.Trace[:]...), s.Span[:]...), s.Flags), s.Parent[:]...)
	failed := byte(0)
	if s.Failed {
		failed = 1
	}
	dst = append(dst, byte(s.Kind), failed)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.Start))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.Nanos))
	dst = binary.LittleEndian.AppendUint32(dst, s.Dropped)
	return appendText(appendText(dst, s.State), s.Name)
}

// AppendAttribute appends an attribute to a record, unless it is empty. A long text is cut off.
func AppendAttribute[T ~string | ~[]byte](dst []byte, key Attribute, value T) []byte {
	if len(value) == 0 {
		return dst
	}
	return appendText(append(dst, byte(key)), value)
}

func appendText[T ~string | ~[]byte](dst []byte, text T) []byte {
	text = text[:min(len(text), longest)]
	return append(binary.LittleEndian.AppendUint16(dst, uint16(len(text))), text...)
}

// ErrRecord is about bytes that are no record.
var ErrRecord = errors.New("no record of a span")

// ParseRecord reads a record. The result aliases it.
func ParseRecord(record []byte) (s Span, err error) {
	if len(record) < recordHead {
		return s, ErrRecord
	}
	take := func(n int) []byte {
		part := record[:n]
		record = record[n:]
		return part
	}
	copy(s.Trace[:], take(16))
	copy(s.Span[:], take(8))
	s.Flags = take(1)[0]
	copy(s.Parent[:], take(8))
	s.Kind = Kind(take(1)[0])
	s.Failed = take(1)[0] != 0
	s.Start = int64(binary.LittleEndian.Uint64(take(8)))
	s.Nanos = int64(binary.LittleEndian.Uint64(take(8)))
	s.Dropped = binary.LittleEndian.Uint32(take(4))
	var ok [2]bool
	s.State, record, ok[0] = text(record)
	s.Name, record, ok[1] = text(record)
	if ok != [2]bool{true, true} || !s.Valid() || s.Nanos < 0 {
		return Span{}, ErrRecord
	}
	s.attributes = record
	for rest := record; len(rest) > 0; {
		if _, _, rest, ok[0] = attribute(rest); !ok[0] {
			return Span{}, ErrRecord
		}
	}
	return s, nil
}

// Attributes are the span's.
func (s *Span) Attributes(yield func(Attribute, []byte) bool) {
	for rest := s.attributes; len(rest) > 0; {
		key, value, more, ok := attribute(rest)
		if !ok || !yield(key, value) {
			return
		}
		rest = more
	}
}

func attribute(record []byte) (key Attribute, value, rest []byte, ok bool) {
	key = Attribute(record[0])
	value, rest, ok = text(record[1:])
	return key, value, rest, ok && key > 0 && key < attributes
}

func text(record []byte) (text, rest []byte, ok bool) {
	if len(record) < 2 {
		return nil, nil, false
	}
	size := int(binary.LittleEndian.Uint16(record))
	if size > longest || len(record) < 2+size {
		return nil, nil, false
	}
	return record[2 : 2+size], record[2+size:], true
}
