package snmp

// The few types of BER that requests and answers of SNMP v1 and v2c are made of. By hand: gosnmp decodes and encodes for
// clients (it answers a request whose number is negative with another number) and brings SNMP v3 with MD5 and DES into
// the master; encoding/asn1 and cryptobyte read DER, and refuse lengths that agents and managers do send.

// Tags.
const (
	tagInteger     = 0x02
	tagOctetString = 0x04
	tagNull        = 0x05
	tagOID         = 0x06
	tagSequence    = 0x30
)

// mostSubIDs is how many numbers an OID may have (RFC 3416).
const mostSubIDs = 128

// reader is what has not been read yet. What it returns is part of it.
type reader []byte

// next returns the next value of any type.
func (r *reader) next() (tag byte, content reader, ok bool) {
	all := *r
	if len(all) < 2 || all[0]&0x1f == 0x1f { // a tag of several bytes is none of SNMP's
		return 0, nil, false
	}
	size, at := int(all[1]), 2
	if size >= 0x80 {
		count := size & 0x7f
		if count == 0 || count > 4 || len(all) < at+count {
			return 0, nil, false
		}
		size = 0
		for _, b := range all[at : at+count] {
			size = size<<8 | int(b)
		}
		at += count
	}
	if size < 0 || size > len(all)-at {
		return 0, nil, false
	}
	*r = all[at+size:]
	return all[0], all[at : at+size : at+size], true
}

// take returns the next value, which is to be of one type.
func (r *reader) take(want byte) (content reader, ok bool) {
	tag, content, ok := r.next()
	return content, ok && tag == want
}

// integer returns the next value, which is to be a number of 32 bits.
func (r *reader) integer() (n int32, ok bool) {
	content, ok := r.take(tagInteger)
	if !ok || len(content) == 0 || len(content) > 4 {
		return 0, false
	}
	n = int32(int8(content[0]))
	for _, b := range content[1:] {
		n = n<<8 | int32(b)
	}
	return n, true
}

// oid returns the next value, which is to be an OID.
func (r *reader) oid() (id oid, ok bool) {
	content, ok := r.take(tagOID)
	if !ok || len(content) == 0 || content[len(content)-1]&0x80 != 0 {
		return nil, false
	}
	number := uint64(0)
	for _, b := range content {
		number = number<<7 | uint64(b&0x7f)
		if number > 1<<32+80 {
			return nil, false
		}
		if b&0x80 != 0 {
			continue
		}
		if id == nil { // the first two in one
			first := min(number/40, 2)
			id = append(id, uint32(first))
			number -= 40 * first
		}
		if number >= 1<<32 || len(id) == mostSubIDs {
			return nil, false
		}
		id = append(id, uint32(number))
		number = 0
	}
	return id, true
}

// appendValue appends a value to to.
func appendValue(to []byte, tag byte, content ...byte) []byte {
	to = append(to, tag)
	switch size := len(content); {
	case size < 0x80:
		to = append(to, byte(size))
	case size < 1<<8:
		to = append(to, 0x81, byte(size))
	default: // of what fits into a datagram
		to = append(to, 0x82, byte(size>>8), byte(size))
	}
	return append(to, content...)
}

// appendUnsigned appends a number that is not negative.
func appendUnsigned(to []byte, tag byte, n uint64) []byte {
	var content [9]byte
	at := len(content) - 1
	for ; ; at-- {
		content[at] = byte(n)
		if n >>= 8; n == 0 {
			break
		}
	}
	if content[at]&0x80 != 0 { // it would be negative
		at--
	}
	return appendValue(to, tag, content[at:]...)
}

// appendOID appends an OID of two numbers at least.
func appendOID(to []byte, id oid) []byte {
	content := appendSubID(make([]byte, 0, 2*len(id)), 40*uint64(id[0])+uint64(id[1]))
	for _, number := range id[2:] {
		content = appendSubID(content, uint64(number))
	}
	return appendValue(to, tagOID, content...)
}

func appendSubID(to []byte, n uint64) []byte {
	for shift := 35; shift > 0; shift -= 7 {
		if n>>shift != 0 {
			to = append(to, byte(n>>shift)|0x80)
		}
	}
	return append(to, byte(n)&0x7f)
}
