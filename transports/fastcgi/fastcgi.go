// Package fastcgi encodes and decodes the records of FastCGI 1.0 (the FastCGI
// Specification, Open Market, 1996), as far as a responder needs them: request
// parameters become a uwsgi variable block. It knows no sockets.
package fastcgi

import (
	"encoding/binary"
	"errors"

	"envoxyd/protocol/uwsgi"
)

// Types of records (specification, 8).
const (
	TypeBegin  = 1
	TypeAbort  = 2
	TypeEnd    = 3
	TypeParams = 4
	TypeStdin  = 5
	TypeStdout = 6
)

// Statuses that end a request (specification, 5.5).
const (
	StatusComplete    = 0
	StatusUnknownRole = 3
)

// RoleResponder is the only role that is answered (specification, 6.2).
const RoleResponder = 1

const (
	headerSize = 8
	version    = 1
	// maxContent is the largest content that is put into a record: a multiple of 8, so that no padding is needed.
	maxContent = 65528
)

// Errors of what a client sends.
var (
	// ErrAborted is a request that the client has taken back.
	ErrAborted = errors.New("the FastCGI request was aborted")
	ErrVersion = errors.New("not a FastCGI 1 record")
	ErrParams  = errors.New("malformed FastCGI parameters")
)

// Record is one record. Content aliases what it was read from.
type Record struct {
	Type    byte
	ID      uint16 // of the request
	Content []byte
}

// Next reads the record at the start of data and the number of bytes that it
// takes with its padding; 0 when it is not all there yet.
func Next(data []byte) (r Record, size int, err error) {
	if len(data) > 0 && data[0] != version {
		return r, 0, ErrVersion
	}
	if len(data) < headerSize {
		return r, 0, nil
	}
	content := headerSize + int(binary.BigEndian.Uint16(data[4:]))
	size = content + int(data[6])
	if len(data) < size {
		return r, 0, nil
	}
	return Record{data[1], binary.BigEndian.Uint16(data[2:]), data[headerSize:content]}, size, nil
}

// Role reads the content of a TypeBegin record; 0 if it is none.
func Role(content []byte) int {
	if len(content) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(content))
}

// AppendVars appends the name-value pairs of a whole TypeParams stream
// (specification, 3.4) to dst as a uwsgi variable block.
func AppendVars(dst, params []byte) ([]byte, error) {
	for len(params) > 0 {
		nameSize, rest, ok := length(params)
		if !ok {
			return dst, ErrParams
		}
		valueSize, rest, ok := length(rest)
		if !ok || nameSize+valueSize > len(rest) {
			return dst, ErrParams
		}
		if !uwsgi.Fits(nameSize) || !uwsgi.Fits(valueSize) {
			return dst, uwsgi.ErrTooLong
		}
		dst = uwsgi.AppendVar(dst, rest[:nameSize], rest[nameSize:nameSize+valueSize])
		params = rest[nameSize+valueSize:]
	}
	return dst, nil
}

// length reads a length of one byte, or of four with the highest bit set.
func length(text []byte) (n int, rest []byte, ok bool) {
	if len(text) == 0 {
		return 0, nil, false
	}
	if text[0] < 0x80 {
		return int(text[0]), text[1:], true
	}
	if len(text) < 4 {
		return 0, nil, false
	}
	return int(binary.BigEndian.Uint32(text) & 0x7fffffff), text[4:], true
}

// AppendStdout appends data to dst in as many TypeStdout records as it takes;
// none for no data, because an empty one would end the stream.
func AppendStdout(dst []byte, id uint16, data []byte) []byte {
	for len(data) > 0 {
		n := min(len(data), maxContent)
		dst = appendHeader(dst, TypeStdout, id, n)
		dst = append(dst, data[:n]...)
		data = data[n:]
	}
	return dst
}

// AppendEnd appends what ends a response: the end of its output, and of the request.
func AppendEnd(dst []byte, id uint16, status byte) []byte {
	dst = appendHeader(dst, TypeStdout, id, 0)
	dst = appendHeader(dst, TypeEnd, id, 8)
	return append(dst, 0, 0, 0, 0, status, 0, 0, 0)
}

func appendHeader(dst []byte, kind byte, id uint16, size int) []byte {
	dst = append(dst, version, kind)
	dst = binary.BigEndian.AppendUint16(dst, id)
	dst = binary.BigEndian.AppendUint16(dst, uint16(size))
	return append(dst, 0, 0)
}
