package uwsgi

import (
	"bytes"
	"errors"
	"testing"
)

func TestVariablesSurviveARoundTrip(t *testing.T) {
	pairs := [][2]string{{"REQUEST_METHOD", "GET"}, {"EMPTY", ""}, {"BYTES", "\xc3\xff\x00"}}
	var block []byte
	for _, pair := range pairs {
		block = AppendVar(block, pair[0], pair[1])
	}
	for _, pair := range pairs {
		key, value, rest, err := Next(block)
		if err != nil || string(key) != pair[0] || string(value) != pair[1] {
			t.Fatalf("got %q=%q, %v; want %q", key, value, err, pair)
		}
		block = rest
	}
	if len(block) != 0 {
		t.Fatalf("%d bytes left over", len(block))
	}
}

func TestHeaderIsLittleEndian(t *testing.T) {
	h := Header{Modifier1: 100, Modifier2: 1, Size: 0x1234}
	raw := AppendHeader(nil, h)
	if !bytes.Equal(raw, []byte{100, 0x34, 0x12, 1}) {
		t.Fatalf("encoded as % x", raw)
	}
	if got := ParseHeader(raw); got != h {
		t.Fatalf("decoded as %+v", got)
	}
}

func TestMalformedBlocksAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		block string
		want  error
	}{
		"empty key":             {"\x00\x00\x00\x00", ErrEmptyKey},
		"key beyond the block":  {"\x64\x00abcd", ErrOverrun},
		"value beyond":          {"\x01\x00A\x50\x00abc", ErrOverrun},
		"no value length":       {"\x01\x00A", ErrOverrun},
		"half a length":         {"\x01", ErrOverrun},
		"half a value's length": {"\x01\x00A\x01", ErrOverrun},
	} {
		if _, _, _, err := Next([]byte(c.block)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte("\x01\x00A\x03\x00abc\x01\x00B\x00\x00"))
	f.Fuzz(func(t *testing.T, block []byte) {
		var rebuilt []byte
		rest := block
		for len(rest) > 0 {
			key, value, more, err := Next(rest)
			if err != nil {
				return
			}
			rebuilt = AppendVar(rebuilt, key, value)
			rest = more
		}
		if !bytes.Equal(rebuilt, block) {
			t.Fatalf("% x became % x", block, rebuilt)
		}
	})
}

// FuzzAppendVar: whatever the sizes, what is read is what was written, or nothing was.
func FuzzAppendVar(f *testing.F) {
	for _, size := range []int{0, 1, MaxBlock, MaxBlock + 1, MaxBlock + 1 + 1000, 2 * (MaxBlock + 1)} {
		f.Add(1, size)
		f.Add(size, 1)
	}
	forged := AppendVar(nil, "REMOTE_USER", "admin")
	f.Fuzz(func(t *testing.T, keySize, valueSize int) {
		key := bytes.Repeat(forged, 1+max(keySize%300000, 0)/len(forged))[:max(keySize%300000, 1)]
		value := bytes.Repeat(forged, 1+max(valueSize%300000, 0)/len(forged))[:max(valueSize%300000, 0)]
		block := AppendVar(nil, key, value)
		if !Fits(len(key)) || !Fits(len(value)) {
			if len(block) > 0 {
				t.Fatalf("%d and %d bytes do not fit, but %d were appended", len(key), len(value), len(block))
			}
			return
		}
		gotKey, gotValue, rest, err := Next(block)
		if err != nil || !bytes.Equal(gotKey, key) || !bytes.Equal(gotValue, value) || len(rest) > 0 {
			t.Fatalf("%d and %d bytes became %d and %d, %d behind, %v", len(key), len(value), len(gotKey), len(gotValue), len(rest), err)
		}
	})
}
