// Package tracing is what the processes of an instance share about distributed traces: the W3C Trace Context of a request, the
// decision whether a request is sampled, and the records in which spans go to the process that exports them.
package tracing

// Context identifies a span and the trace that it belongs to.
type Context struct {
	Trace [16]byte
	Span  [8]byte
	Flags byte
}

// Sampled is the flag of a trace that is recorded.
const Sampled = 0x01

// randomTrace is the flag of a trace id whose right-hand half is random.
const randomTrace = 0x02

// Size is the length of a traceparent of version 00.
const Size = 55

// Valid tells whether c is the context of a span at all.
func (c *Context) Valid() bool { return c.Trace != [16]byte{} && c.Span != [8]byte{} }

// IsSampled tells whether the trace is recorded.
func (c *Context) IsSampled() bool { return c.Flags&Sampled != 0 }

// Parse reads the value of a traceparent header. A later version than 00 may have more fields behind those that are known.
func Parse(text []byte) (c Context, ok bool) {
	if len(text) < Size || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return c, false
	}
	var version, flags [1]byte
	ok = unhex(version[:], text[:2]) && unhex(c.Trace[:], text[3:35]) && unhex(c.Span[:], text[36:52]) && unhex(flags[:], text[53:55])
	switch {
	case !ok || version[0] == 0xff || !c.Valid():
		return Context{}, false
	case len(text) > Size && (version[0] == 0 || text[Size] != '-'):
		return Context{}, false
	}
	c.Flags = flags[0] & (Sampled | randomTrace)
	return c, true
}

// Append appends the traceparent of c to dst: Size bytes.
func (c *Context) Append(dst []byte) []byte {
	var text [Size]byte
	c.Put(&text)
	return append(dst, text[:]...)
}

// Put writes the traceparent of c.
func (c *Context) Put(text *[Size]byte) {
	c.putFrame(text)
	for i := 0; i < len(c.Trace); i += 4 {
		putHex(text[3+2*i:], c.Trace[i:])
	}
	putHex(text[36:], c.Span[:4])
	putHex(text[44:], c.Span[4:])
}

// putFrame writes all but the ids.
func (c *Context) putFrame(text *[Size]byte) {
	text[0], text[1], text[2], text[35], text[52] = '0', '0', '-', '-', '-'
	text[53], text[54] = digits[c.Flags>>4], digits[c.Flags&15]
}
