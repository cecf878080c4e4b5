package tracing

import "encoding/binary"

const digits = "0123456789abcdef"

// putHex writes four bytes as eight digits. Each request has six times these, so all digits are made at once.
func putHex(digits []byte, four []byte) {
	const low, one = 0x000f000f000f000f, 0x0101010101010101
	x := uint64(binary.LittleEndian.Uint32(four))
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = x>>4&low | x&low<<8             // a nibble in each byte
	letters := (x + 6*one) >> 4 & one   // 1 in those that are ten or more
	x += '0'*one + letters*('a'-'0'-10) // no byte overflows
	binary.LittleEndian.PutUint64(digits, x)
}

// values are those of digits, which must be in lower case; 0xff: it is none.
var values = func() (all [256]byte) {
	for i := range all {
		all[i] = 0xff
	}
	for i, digit := range []byte(digits) {
		all[digit] = byte(i)
	}
	return all
}()

// unhex decodes digits, of which there are two for each byte of dst.
func unhex(dst, digits []byte) bool {
	seen := byte(0)
	for i := range dst {
		high, low := values[digits[2*i]], values[digits[2*i+1]]
		seen |= high | low
		dst[i] = high<<4 | low
	}
	return seen < 16
}
