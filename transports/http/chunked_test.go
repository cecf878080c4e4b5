package http

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// decodeAll feeds text in pieces of the given size.
func decodeAll(text string, piece int) (body string, rest string, err error) {
	var c Chunks
	var out, pending []byte
	for len(text) > 0 && !c.Done() {
		n := min(piece, len(text))
		pending = append(pending, text[:n]...)
		text = text[n:]
		var used int
		if out, used, err = c.Decode(out, pending); err != nil {
			return string(out), "", err
		}
		pending = pending[used:]
	}
	if !c.Done() {
		return string(out), "", errors.New("not done")
	}
	return string(out), string(pending) + text, nil
}

func TestChunkedBodiesAreDecodedHoweverTheyArrive(t *testing.T) {
	text := "3\r\nabc\r\nA;ext=\"v\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET /"
	for piece := 1; piece <= len(text); piece++ {
		body, rest, err := decodeAll(text, piece)
		if err != nil || body != "abc0123456789" || !strings.HasPrefix("GET /", rest) && rest != "GET /" {
			t.Fatalf("in pieces of %d: %q, rest %q, %v", piece, body, rest, err)
		}
	}
}

func TestMalformedChunksAreRefused(t *testing.T) {
	for _, text := range []string{
		"x\r\nabc\r\n", "\r\n", "-1\r\n", "3\nabc\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3 3\r\nabc\r\n",
		"3;a=\x00\r\nabc\r\n0\r\n\r\n", "3;a=b\rc\r\nabc\r\n0\r\n\r\n", "3;\x7f\r\nabc\r\n0\r\n\r\n", "0;\x1b\r\n\r\n",
		"0\r\nTrailer\r\n\r\n", "0\r\n: x\r\n\r\n", "0\r\n folded: x\r\n\r\n", "0\r\nA b: x\r\n\r\n", "0\r\nA: \x00\r\n\r\n", "0\r\nA: b\rc\r\n\r\n",
		"1000000000000000\r\n", "0x3\r\nabc\r\n", strings.Repeat("1", maxChunkLine+2),
	} {
		if _, _, err := decodeAll(text, len(text)); !errors.Is(err, ErrChunk) {
			t.Errorf("%.20q: got %v", text, err)
		}
	}
}

func FuzzChunks(f *testing.F) {
	f.Add("3\r\nabc\r\n0\r\n\r\n", 2)
	f.Fuzz(func(t *testing.T, text string, piece int) {
		piece = max(piece, 1)
		whole, _, errWhole := decodeAll(text, len(text)+1)
		parts, _, errParts := decodeAll(text, piece)
		if (errWhole == nil) != (errParts == nil) || errWhole == nil && whole != parts {
			t.Fatalf("whole: %q %v; in pieces of %d: %q %v", whole, errWhole, piece, parts, errParts)
		}
	})
}

func TestWhereChunksEnd(t *testing.T) {
	var c Chunks
	const body = "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"
	if _, _, err := c.Decode(nil, []byte(body)); err != nil || !slices.Equal(c.Ends(), []int64{3, 7}) {
		t.Errorf("%v, %v", c.Ends(), err)
	}
	c = Chunks{}
	if _, _, err := c.Decode(nil, []byte(strings.Repeat("1\r\na\r\n", 2*keptEnds))); err != nil || len(c.Ends()) != keptEnds {
		t.Errorf("%d ends are kept, %v", len(c.Ends()), err)
	}
}
