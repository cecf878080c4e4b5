// Package uwsgi encodes and decodes the uwsgi protocol's packets: a four byte
// header, then length-prefixed key and value strings. It knows no sockets.
//
// The layout is that of uWSGI's protocol document: modifier1 (u8), size of the
// variable block (u16, little endian), modifier2 (u8), then for each variable
// u16 length, key, u16 length, value.
package uwsgi

import (
	"encoding/binary"
	"errors"
)

// HeaderSize is the number of bytes before the variable block.
const HeaderSize = 4

// MaxBlock is the largest variable block that a header can announce, in bytes.
const MaxBlock = 0xffff

// Modifier1 values that the server answers.
const (
	ModifierPython = 0
	ModifierCGI    = 9
	ModifierSpool  = 17
	ModifierManage = 30 // WSGI with the path info managed by the server
	ModifierPing   = 100
	ModifierSignal = 110
	ModifierCache  = 111
	ModifierRPC    = 173
)

// Modifier2 values of ping packets.
const (
	PingAnswer = 1   // of the answer
	PingKeep   = 'K' // of a ping that asks for more requests on its connection, and of the answer that grants it
)

// Errors of a variable block.
var (
	ErrEmptyKey = errors.New("uwsgi key cannot be null")
	ErrOverrun  = errors.New("a variable is longer than the block")
	ErrTooMany  = errors.New("too many variables")
	ErrTooLong  = errors.New("a variable over 65535 bytes, the most that there can be whatever --buffer-size is")
)

// Header is the packet's first four bytes.
type Header struct {
	Modifier1 byte
	Modifier2 byte
	Size      int // of the variable block, bytes
}

// ParseHeader reads a header from the first HeaderSize bytes of p, which must be there.
func ParseHeader(p []byte) Header {
	return Header{Modifier1: p[0], Size: int(binary.LittleEndian.Uint16(p[1:3])), Modifier2: p[3]}
}

// AppendHeader appends h to dst.
func AppendHeader(dst []byte, h Header) []byte {
	return append(dst, h.Modifier1, byte(h.Size), byte(h.Size>>8), h.Modifier2)
}

// Fits tells whether a key or a value of that many bytes can be in a block: its length has 16 bits.
func Fits(size int) bool { return size <= MaxBlock }

// AppendVar appends one variable to dst. One that does not fit is left out, because the
// lengths would wrap and its text be read as variables: callers ask Fits before and say so.
func AppendVar[K, V ~string | ~[]byte](dst []byte, key K, value V) []byte {
	if !Fits(len(key)) || !Fits(len(value)) {
		return dst
	}
	dst = append(dst, byte(len(key)), byte(len(key)>>8))
	dst = append(dst, key...)
	dst = append(dst, byte(len(value)), byte(len(value)>>8))
	return append(dst, value...)
}

// Next splits the first variable off block. key and value alias block.
// An empty block is not an error of its own: ask before calling.
func Next(block []byte) (key, value, rest []byte, err error) {
	key, rest, err = next(block)
	if err != nil {
		return nil, nil, nil, err
	}
	if len(key) == 0 {
		return nil, nil, nil, ErrEmptyKey
	}
	value, rest, err = next(rest)
	return key, value, rest, err
}

// Last returns the value of the last variable of a name, which is the one that counts; false: there is none. It aliases block.
func Last[N ~string | ~[]byte](block []byte, name N) (value []byte, given bool) {
	for len(block) > 0 {
		key, text, rest, err := Next(block)
		if err != nil {
			break
		}
		if block = rest; string(key) == string(name) {
			value, given = text, true
		}
	}
	return value, given
}

func next(block []byte) (text, rest []byte, err error) {
	if len(block) < 2 {
		return nil, nil, ErrOverrun
	}
	size := int(block[0]) | int(block[1])<<8
	if len(block) < 2+size {
		return nil, nil, ErrOverrun
	}
	return block[2 : 2+size], block[2+size:], nil
}
