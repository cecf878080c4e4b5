package http

import "bytes"

// ErrChunk is a chunked body that breaks RFC 9112, 7.1.
var ErrChunk = refuse(400, "malformed chunked body")

// maxChunkLine bounds a chunk's size line with its extensions, and each trailer line.
const maxChunkLine = 4096

// keptEnds bounds how many ends of chunks are noted: a chunk may be as short as a byte.
const keptEnds = 1024

// Chunks decodes a chunked body piece by piece. The zero value is ready.
type Chunks struct {
	left  int64 // of the chunk being read
	state chunkState
	done  bool // the last chunk and its trailers have been read
	size  int64
	ends  []int64
}

// Ends is where the first chunks end in the body.
func (c *Chunks) Ends() []int64 { return c.ends }

// Done tells whether the last chunk and its trailers have been read.
func (c *Chunks) Done() bool { return c.done }

type chunkState int

const (
	atSize chunkState = iota
	inData
	atDataEnd
	inTrailers
)

// Decode appends the data that src holds to dst and returns how much of src was
// used; the rest must be given again with more behind it.
func (c *Chunks) Decode(dst, src []byte) (out []byte, used int, err error) {
	for !c.done && used < len(src) {
		rest := src[used:]
		switch c.state {
		case inData:
			n := int(min(int64(len(rest)), c.left))
			dst = append(dst, rest[:n]...)
			used, c.left, c.size = used+n, c.left-int64(n), c.size+int64(n)
			if c.left == 0 {
				c.state = atDataEnd
				if len(c.ends) < keptEnds {
					c.ends = append(c.ends, c.size)
				}
			}
		default:
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				if len(rest) > maxChunkLine {
					return dst, used, ErrChunk
				}
				return dst, used, nil
			}
			if end == 0 || rest[end-1] != '\r' {
				return dst, used, ErrChunk
			}
			if err := c.line(rest[:end-1]); err != nil {
				return dst, used, err
			}
			used += end + 1
		}
	}
	return dst, used, nil
}

func (c *Chunks) line(line []byte) error {
	switch c.state {
	case atDataEnd:
		if len(line) != 0 {
			return ErrChunk
		}
		c.state = atSize
	case atSize:
		size, ok := chunkSize(line)
		if !ok {
			return ErrChunk
		}
		c.left, c.state = size, inData
		if size == 0 {
			c.state = inTrailers
		}
	case inTrailers:
		if c.done = len(line) == 0; c.done {
			return nil
		}
		if !isField(line) {
			return ErrChunk
		}
	}
	return nil
}

// chunkSize reads the hexadecimal size before an optional extension.
func chunkSize(line []byte) (int64, bool) {
	var size int64
	n := 0
	for n < len(line) && isHex(line[n]) {
		if n == 15 {
			return 0, false
		}
		size = size<<4 | int64(unhex(line[n]))
		n++
	}
	if n == 0 {
		return 0, false
	}
	rest := trim(line[n:])
	return size, len(rest) == 0 || rest[0] == ';' && isText(rest)
}
