package m2m

import (
	"errors"
	"strings"
	"testing"
)

func TestEndpoints(t *testing.T) {
	for text, want := range map[string]string{
		"tcp://*:5555": "tcp://*:5555", "tcp://127.0.0.1:1": "tcp://127.0.0.1:1", ":5": "tcp://*:5", "host:7": "tcp://host:7",
		"tcp://[::1]:9": "tcp://[::1]:9", "ipc:///run/x": "ipc:///run/x", "ipc://x": "ipc://x", "ipc://@x": "ipc://@x",
		"tcp://host": "", "tcp://host:": "", "tcp://host:x": "", "ipc://": "", "ipc://*": "", "pgm://a:1": "", "inproc://a": "", "": "",
		"ipc:///" + strings.Repeat("a", 107): "",
	} {
		e, err := ParseEndpoint(text)
		if want == "" {
			if !errors.Is(err, ErrEndpoint) {
				t.Errorf("%q: %v, %v", text, e, err)
			}
			continue
		}
		if err != nil || e.String() != want {
			t.Errorf("%q: %v, %v", text, e, err)
		}
	}
}

func TestKeys(t *testing.T) {
	const key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
	for text, good := range map[string]bool{
		key: true, "": false, key[1:]: false, key + "0": false, strings.Replace(key, "r", " ", 1): false, strings.Repeat("#", 40): false,
	} {
		if err := CheckKey(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, good := range map[string]bool{
		key: true, key + "\n": true, "# mine\n\n" + key: true, "curve\n    public-key = \"x\"\n    secret-key = \"" + key + "\"\n": true, "public-key = \"" + key + "\"": false, "": false,
	} {
		if found, err := KeyIn(text); (err == nil) != good || good && found != key {
			t.Errorf("%q: %q, %v", text, found, err)
		}
	}
}

func TestFramesOfAMessage(t *testing.T) {
	e, x := []byte{}, []byte("x")
	for _, one := range []struct {
		frames [][]byte
		good   bool
	}{{[][]byte{x}, true}, {[][]byte{e, x}, true}, {[][]byte{e, e, x}, true}, {nil, false}, {[][]byte{x, x}, false}, {[][]byte{e, e, e, x}, false}} {
		if text, err := Text(one.frames); (err == nil) != one.good || one.good && string(text) != "x" {
			t.Errorf("%q: %q, %v", one.frames, text, err)
		}
	}
}
