package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// masked is a client's frame.
func masked(code ws.OpCode, data string, fin bool) string {
	frame := ws.MaskFrameWith(ws.NewFrame(code, fin, []byte(data)), [4]byte{1, 2, 3, 4})
	return string(ws.MustCompileFrame(frame))
}

// told is what the reader makes of the bytes, fed in pieces of that size.
func told(r *Reader, data string, size int) string {
	var out []string
	for len(data) > 0 {
		n := min(size, len(data))
		r.Feed([]byte(data[:n]))
		data = data[n:]
		for {
			event, whole, err := r.Next()
			if err != nil {
				var problem *Error
				if !errors.As(err, &problem) {
					return "no *Error: " + err.Error()
				}
				return strings.Join(append(out, fmt.Sprint(problem.Code)), " ")
			}
			if !whole {
				break
			}
			out = append(out, fmt.Sprintf("%s:%s", [...]string{"message", "ping", "pong", "close"}[event.Kind], event.Data))
		}
	}
	return strings.Join(out, " ")
}

func TestReader(t *testing.T) {
	const text, binary, more, closing, ping, pong = ws.OpText, ws.OpBinary, ws.OpContinuation, ws.OpClose, ws.OpPing, ws.OpPong
	code := func(n int) string { return string([]byte{byte(n >> 8), byte(n)}) }
	for name, test := range map[string]struct{ data, want string }{
		"text":                  {masked(text, "hé", true), "message:hé"},
		"empty":                 {masked(binary, "", true), "message:"},
		"two":                   {masked(text, "a", true) + masked(binary, "\xff", true), "message:a message:\xff"},
		"fragments":             {masked(text, "de", false) + masked(ping, "p", true) + masked(more, "", false) + masked(more, "f", true), "ping:p message:def"},
		"character in two":      {masked(text, "\xc3", false) + masked(more, "\xa9", true), "message:é"},
		"pong":                  {masked(pong, "x", true), "pong:x"},
		"close":                 {masked(closing, "", true), "close:"},
		"close with a code":     {masked(closing, code(1000)+"bye", true), "close:" + code(1000)},
		"no UTF-8":              {masked(text, "a\xff", true), "1007"},
		"no UTF-8, early":       {masked(text, "\xf4\x90", false), "1007"},
		"half a character":      {masked(text, "\xc3", true), "1007"},
		"too large":             {masked(binary, strings.Repeat("x", 65), true), "1009"},
		"together too large":    {masked(binary, strings.Repeat("x", 60), false) + masked(more, "xxxxx", true), "1009"},
		"nothing to go on with": {masked(more, "x", true), "1002"},
		"begun twice":           {masked(text, "x", false) + masked(text, "x", true), "1002"},
		"not masked":            {"\x81\x01x", "1002"},
		"reserved":              {"\xf1\x80\x00\x00\x00\x00", "1002"},
		"control in fragments":  {masked(ping, "x", false), "1002"},
		"control too long":      {masked(ping, strings.Repeat("x", 126), true), "1002"},
		"close of one byte":     {masked(closing, "x", true), "1002"},
		"close with a bad code": {masked(closing, code(1006), true), "1002"},
		"close without UTF-8":   {masked(closing, code(1000)+"\xff", true), "1007"},
		"a length beyond all":   {"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", "1002"},
	} {
		for size := 1; size <= len(test.data); size++ {
			if got := told(&Reader{MaxSize: 64}, test.data, size); got != test.want {
				t.Errorf("%s, %d bytes at a time: %q, want %q", name, size, got, test.want)
				break
			}
		}
	}
}

func TestFragmentsHaveALimitOfTheirOwn(t *testing.T) {
	r := Reader{MaxSize: 64, MaxFragmented: 8}
	if got := told(&r, masked(ws.OpText, strings.Repeat("x", 60), true)+masked(ws.OpText, "xxxxx", false)+masked(ws.OpContinuation, "xxxxx", true), 1000); got != "message:"+strings.Repeat("x", 60)+" 1009" {
		t.Error(got)
	}
}

func TestAnIdleReaderKeepsNoMemory(t *testing.T) {
	var r Reader
	if got := told(&r, masked(ws.OpText, "x", true)+masked(ws.OpPing, "y", true), 3); got != "message:x ping:y" {
		t.Fatal(got)
	}
	if r.in != nil || r.message != nil || r.control != nil {
		t.Errorf("kept: %d, %d and %d bytes", cap(r.in), cap(r.message), cap(r.control))
	}
}

func TestFramesAreWhatTheLibraryReads(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		data := bytes.Repeat([]byte("x"), size)
		frame, err := ws.ReadFrame(bytes.NewReader(AppendFrame([]byte("before"), ws.OpBinary, data)[len("before"):]))
		if err != nil || frame.Header.OpCode != ws.OpBinary || !frame.Header.Fin || !bytes.Equal(frame.Payload, data) {
			t.Errorf("%d bytes: %v, %v", size, frame.Header, err)
		}
	}
	frame, err := ws.ReadFrame(bytes.NewReader(AppendClose(nil, ws.StatusGoingAway, strings.Repeat("x", 200))))
	if code, _ := ws.ParseCloseFrameData(frame.Payload); err != nil || code != ws.StatusGoingAway || len(frame.Payload) != mostControl {
		t.Errorf("%v, %v", frame.Header, err)
	}
}

func TestNoMoreIsWantedThanTheFrame(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		frames := masked(ws.OpBinary, strings.Repeat("x", size), true) + masked(ws.OpPing, "", true)
		var r Reader
		at, reads := 0, 0
		for ; ; reads++ {
			event, whole, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if whole {
				if len(event.Data) != size {
					t.Errorf("%d bytes, want %d", len(event.Data), size)
				}
				break
			}
			n := int(r.Wants())
			r.Feed([]byte(frames[at : at+n]))
			at += n
		}
		if rest := len(frames) - at; rest != 6 || reads > 3 {
			t.Errorf("%d bytes: %d reads, which leave %d bytes", size, reads, rest)
		}
	}
}

// Whatever comes, and however it is cut, the same is made of it.
func FuzzReader(f *testing.F) {
	for _, data := range []string{masked(ws.OpText, "hé", true), masked(ws.OpText, "de", false) + masked(ws.OpContinuation, "f", true), masked(ws.OpClose, "\x03\xe8", true), "\x81\x01x"} {
		f.Add([]byte(data), 1)
	}
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if size < 1 {
			return
		}
		whole, cut := told(&Reader{MaxSize: 1 << 16}, string(data), len(data)+1), told(&Reader{MaxSize: 1 << 16}, string(data), size)
		if whole != cut {
			t.Errorf("%q at once, %q in pieces of %d", whole, cut, size)
		}
	})
}
