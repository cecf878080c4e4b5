// Package websocket makes messages of the bytes that a client sends, and frames of what it is sent (RFC 6455). It knows
// no sockets; the frames' layout is github.com/gobwas/ws's.
package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Kind is what an Event is.
type Kind int

// Kinds of events.
const (
	Message Kind = iota // text or binary, whole
	Ping                // to be answered by a Pong with the same data
	Pong
	Close // the client's last; Data is what to answer it with
)

// Event is what a client has sent. Data is the receiver's.
type Event struct {
	Kind Kind
	Data []byte
	Code ws.OpCode // of a message: ws.OpText or ws.OpBinary
}

// Error is why a connection has to be closed: Code is what the client is told.
type Error struct {
	Code   ws.StatusCode
	Reason string
}

// Error tells the reason and the code.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Reason, e.Code) }

// mostControl is what RFC 6455 5.5 allows in a ping, pong or close, in bytes.
const mostControl = 125

// Reader puts the client's frames together. Its zero value, with limits, is ready to use.
type Reader struct {
	MaxSize       int64 // of a message, in bytes; 0: no limit
	MaxFragmented int64 // of one that comes in several frames; 0: MaxSize alone counts

	in      []byte    // not looked at yet
	frame   ws.Header // that is being read
	inFrame bool
	left    int64 // of its payload
	masked  int   // how much of it has been unmasked

	message    []byte
	opcode     ws.OpCode
	fragmented bool // the message goes on in another frame
	checked    int  // how much of a text is known to be UTF-8
	control    []byte
}

// Feed takes over bytes that have arrived. It copies them.
func (r *Reader) Feed(data []byte) { r.in = append(r.in, data...) }

// Wants is how many bytes there may be until the end of the current frame: who reads no more leaves the next message
// where it is, so that its descriptor stays readable.
func (r *Reader) Wants() int64 {
	switch have := int64(len(r.in)); {
	case r.inFrame:
		return r.left
	case have < 2:
		return 2 - have
	default:
		size := int64(2)
		if r.in[1]&128 != 0 {
			size += 4 // the mask
		}
		switch length := r.in[1] & 127; length {
		case 127:
			size += 8
		case 126:
			size += 2
		default:
			size += int64(length) // the frame itself
		}
		return max(size-have, 1)
	}
}

// Next returns the next event that is whole; false: more bytes are needed first. After an error, which is an *Error,
// nothing more can be read.
func (r *Reader) Next() (Event, bool, error) {
	for {
		if !r.inFrame {
			if begun, err := r.begin(); err != nil || !begun {
				return Event{}, false, err
			}
		}
		if err := r.payload(); err != nil {
			return Event{}, false, err
		}
		if r.left > 0 {
			return Event{}, false, nil
		}
		r.inFrame = false
		event, whole, err := r.end()
		if whole || err != nil {
			return event, whole, err
		}
	}
}

// begin reads a frame's header, if all of it is there.
func (r *Reader) begin() (bool, error) {
	from := bytes.NewReader(r.in)
	header, err := ws.ReadHeader(from)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return false, nil
	case err != nil:
		return false, &Error{ws.StatusProtocolError, err.Error()}
	}
	state := ws.StateServerSide
	if r.fragmented {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(header, state); err != nil {
		return false, &Error{ws.StatusProtocolError, err.Error()}
	}
	if err := r.admit(header); err != nil {
		return false, err
	}
	r.consume(len(r.in) - from.Len())
	r.frame, r.inFrame, r.left, r.masked = header, true, header.Length, 0
	if header.OpCode.IsData() && header.OpCode != ws.OpContinuation {
		r.opcode = header.OpCode
	}
	return true, nil
}

// admit refuses a message that is too large before it is there.
func (r *Reader) admit(header ws.Header) error {
	if header.OpCode.IsControl() {
		return nil
	}
	size := int64(len(r.message)) + header.Length
	if size < 0 || r.MaxSize > 0 && size > r.MaxSize {
		return &Error{ws.StatusMessageTooBig, fmt.Sprintf("a message of more than %d bytes", r.MaxSize)}
	}
	if r.MaxFragmented > 0 && size > r.MaxFragmented && (r.fragmented || !header.Fin) {
		return &Error{ws.StatusMessageTooBig, fmt.Sprintf("a message in fragments of more than %d bytes", r.MaxFragmented)}
	}
	return nil
}

// consume forgets bytes that have been read. Idle connections keep no memory.
func (r *Reader) consume(n int) {
	r.in = r.in[n:]
	if len(r.in) == 0 {
		r.in = nil
	}
}

// payload takes what there is of the frame's data.
func (r *Reader) payload() error {
	n := int(min(r.left, int64(len(r.in))))
	piece := r.in[:n]
	ws.Cipher(piece, r.frame.Mask, r.masked)
	r.masked, r.left = r.masked+n, r.left-int64(n)
	if r.frame.OpCode.IsControl() {
		r.control = append(r.control, piece...)
		r.consume(n)
		return nil
	}
	r.message = append(r.message, piece...)
	r.consume(n)
	if r.opcode == ws.OpText && !r.valid() {
		return &Error{ws.StatusInvalidFramePayloadData, "a text that is not UTF-8"}
	}
	return nil
}

// valid checks what has come of a text; a character may go on in what follows.
func (r *Reader) valid() bool {
	for r.checked < len(r.message) {
		rest := r.message[r.checked:]
		if c, size := utf8.DecodeRune(rest); c != utf8.RuneError || size > 1 {
			r.checked += size
			continue
		}
		return !utf8.FullRune(rest)
	}
	return true
}

// end is for a frame that is whole.
func (r *Reader) end() (Event, bool, error) {
	data := r.control
	switch r.frame.OpCode {
	case ws.OpPing:
		r.control = nil
		return Event{Kind: Ping, Data: data}, true, nil
	case ws.OpPong:
		r.control = nil
		return Event{Kind: Pong, Data: data}, true, nil
	case ws.OpClose:
		r.control = nil
		answer, err := closing(data)
		return Event{Kind: Close, Data: answer}, err == nil, err
	}
	r.fragmented = !r.frame.Fin
	if r.fragmented {
		return Event{}, false, nil
	}
	if r.opcode == ws.OpText && r.checked < len(r.message) {
		return Event{}, false, &Error{ws.StatusInvalidFramePayloadData, "a text that ends within a character"}
	}
	message := r.message
	r.message, r.checked = nil, 0
	return Event{Message, message, r.opcode}, true, nil
}

// closing returns what a client's close is answered with.
func closing(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if len(data) < 2 {
		return nil, &Error{ws.StatusProtocolError, "a close frame of one byte"}
	}
	code, reason := ws.ParseCloseFrameData(data)
	if !utf8.ValidString(reason) {
		return nil, &Error{ws.StatusInvalidFramePayloadData, "a reason that is not UTF-8"}
	}
	if err := ws.CheckCloseFrameData(code, reason); err != nil {
		return nil, &Error{ws.StatusProtocolError, err.Error()}
	}
	return ws.NewCloseFrameBody(code, ""), nil
}
