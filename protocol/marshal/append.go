// Package marshal writes and reads the values of Python's marshal format that are
// needed to hand data to a Python in the same process and back.
//
// What is written is read by every CPython from 3.8 on: the format's type codes are
// only ever added to. What is read is version 2, which knows neither references nor
// the short forms of text ("marshal", Python's standard library reference).
package marshal

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// referable marks an object that later ones may refer to by its number.
const referable = 0x80

// AppendNone appends None.
func AppendNone(to []byte) []byte { return append(to, 'N') }

// AppendBool appends True or False.
func AppendBool(to []byte, value bool) []byte {
	if value {
		return append(to, 'T')
	}
	return append(to, 'F')
}

// AppendInt appends an int.
func AppendInt(to []byte, value int64) []byte {
	if value >= math.MinInt32 && value <= math.MaxInt32 {
		return binary.LittleEndian.AppendUint32(append(to, 'i'), uint32(value))
	}
	magnitude := uint64(value)
	if value < 0 {
		magnitude = -magnitude
	}
	digits, sign := int32(0), int32(1)
	for rest := magnitude; rest > 0; rest >>= 15 {
		digits++
	}
	if value < 0 {
		sign = -1
	}
	to = binary.LittleEndian.AppendUint32(append(to, 'l'), uint32(sign*digits))
	for rest := magnitude; rest > 0; rest >>= 15 {
		to = binary.LittleEndian.AppendUint16(to, uint16(rest&0x7fff))
	}
	return to
}

// AppendFloat appends a float.
func AppendFloat(to []byte, value float64) []byte {
	return binary.LittleEndian.AppendUint64(append(to, 'g'), math.Float64bits(value))
}

// AppendText appends a str; value is UTF-8.
func AppendText[T ~string | ~[]byte](to []byte, value T) []byte {
	for i := range len(value) {
		if value[i] >= utf8.RuneSelf {
			to = binary.LittleEndian.AppendUint32(append(to, 'u'), uint32(len(value)))
			return append(to, value...)
		}
	}
	if len(value) < 256 {
		to = append(to, 'z', byte(len(value)))
	} else {
		to = binary.LittleEndian.AppendUint32(append(to, 'a'), uint32(len(value)))
	}
	return append(to, value...)
}

// AppendKey appends an interned str that AppendRef can refer to.
func AppendKey(to []byte, value string) []byte {
	to = binary.LittleEndian.AppendUint32(append(to, 't'|referable), uint32(len(value)))
	return append(to, value...)
}

// AppendRef appends the number-th object that AppendKey has appended.
func AppendRef(to []byte, number int) []byte {
	return binary.LittleEndian.AppendUint32(append(to, 'r'), uint32(number))
}

// AppendBytes appends a bytes object.
func AppendBytes[T ~string | ~[]byte](to []byte, value T) []byte {
	to = binary.LittleEndian.AppendUint32(append(to, 's'), uint32(len(value)))
	return append(to, value...)
}

// AppendTuple begins a tuple; size values follow.
func AppendTuple(to []byte, size int) []byte {
	return binary.LittleEndian.AppendUint32(append(to, '('), uint32(size))
}

// AppendList begins a list; size values follow.
func AppendList(to []byte, size int) []byte {
	return binary.LittleEndian.AppendUint32(append(to, '['), uint32(size))
}

// SetListSize writes the size of a list that was begun at an offset before its values were counted.
func SetListSize(in []byte, offset, size int) {
	binary.LittleEndian.PutUint32(in[offset+1:], uint32(size))
}

// AppendDict begins a dict; keys and values follow in turn, then EndDict.
func AppendDict(to []byte) []byte { return append(to, '{') }

// EndDict ends what AppendDict has begun.
func EndDict(to []byte) []byte { return append(to, '0') }
