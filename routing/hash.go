package routing

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
)

// hashAction chooses one of several items by a key, and puts it into a variable:
// hash:key=TEXT,items=A;B;C,var=NAME,algo=djb33x|murmur2|rand|rr.
func hashAction(c *compiler, argument string) (action, error) {
	s, err := readSettings(argument, "key", "items", "var", "algo")
	if err != nil {
		return nil, err
	}
	if err := s.need("key", "items", "var"); err != nil {
		return nil, err
	}
	choose, known := hashes[s["algo"]]
	if !known {
		return nil, fmt.Errorf("unable to find hash algo %q; there are djb33x, murmur2, rand and rr", s["algo"])
	}
	key, items, name := c.template(s["key"]), c.template(s["items"]), s["var"]
	turn := new(atomic.Uint32)
	return func(r *Request) outcome {
		list := bytes.Trim(items.text(r), ";")
		n := uint32(bytes.Count(list, []byte(";")) + 1)
		at := choose(key.look(r), turn) % n
		var item []byte
		for ; ; at-- {
			item, list, _ = bytes.Cut(list, []byte(";"))
			if at == 0 {
				return r.put(name, item)
			}
		}
	}, nil
}

// hashes are the algorithms by name; turn counts for the one that takes turns.
var hashes = map[string]func(key []byte, turn *atomic.Uint32) uint32{
	"":        func(key []byte, _ *atomic.Uint32) uint32 { return djb33x(key) },
	"djb33x":  func(key []byte, _ *atomic.Uint32) uint32 { return djb33x(key) },
	"murmur2": func(key []byte, _ *atomic.Uint32) uint32 { return murmur2(key) },
	"rand":    func([]byte, *atomic.Uint32) uint32 { return rand.Uint32() },
	"rr":      func(_ []byte, turn *atomic.Uint32) uint32 { return turn.Add(1) - 1 },
}

// djb33x is Bernstein's hash with exclusive or, of 32 bits.
func djb33x(key []byte) uint32 {
	h := uint32(5381)
	for _, b := range key {
		h = h*33 ^ uint32(b)
	}
	return h
}

// murmur2 is Appleby's MurmurHash2 of 32 bits with the seed 0, as uWSGI has it: what is left of a key that is no multiple
// of four bytes is taken from its beginning, not from its end. Instances of both choose the same item.
func murmur2(key []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(len(key))
	rest := key
	for ; len(rest) >= 4; rest = rest[4:] {
		k := binary.LittleEndian.Uint32(rest) * m
		h = h*m ^ (k^k>>24)*m
	}
	for i := len(rest) - 1; i >= 0; i-- {
		h ^= uint32(key[i]) << (8 * i)
	}
	if len(rest) > 0 {
		h *= m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
