package marshal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
)

// ErrFormat says that data is no marshalled value, or one that Read does not know.
var ErrFormat = errors.New("not a marshalled value")

// deepest is how far values may be nested.
const deepest = 32

// Bytes is a Python bytes object; text is a string.
type Bytes []byte

// Tuple is a Python tuple; a list is a []any.
type Tuple []any

// Dict is a Python dict with str keys, in its order.
type Dict []Item

// Item is one entry of a Dict.
type Item struct {
	Key   string
	Value any
}

// Get is the value of a key.
func (d Dict) Get(key string) (any, bool) {
	for i := range d {
		if d[i].Key == key {
			return d[i].Value, true
		}
	}
	return nil, false
}

// Read reads one value: nil, bool, int64, *big.Int, float64, string, Bytes, Tuple, []any or Dict.
// Strings and Bytes are copies.
func Read(data []byte) (any, error) {
	r := reader{data: data}
	value, err := r.value(0)
	if err == nil && len(r.data) > 0 {
		err = fmt.Errorf("%w: something follows it", ErrFormat)
	}
	return value, err
}

type reader struct{ data []byte }

func (r *reader) take(size int) ([]byte, error) {
	if size < 0 || size > len(r.data) {
		return nil, fmt.Errorf("%w: cut short", ErrFormat)
	}
	taken := r.data[:size]
	r.data = r.data[size:]
	return taken, nil
}

func (r *reader) size() (int, error) {
	raw, err := r.take(4)
	if err != nil {
		return 0, err
	}
	return int(int32(binary.LittleEndian.Uint32(raw))), nil
}

func (r *reader) sized() ([]byte, error) {
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	return r.take(size)
}

func (r *reader) value(depth int) (any, error) {
	if depth > deepest {
		return nil, fmt.Errorf("%w: nested too deeply", ErrFormat)
	}
	code, err := r.take(1)
	if err != nil {
		return nil, err
	}
	switch code[0] {
	case 'N':
		return nil, nil
	case 'T':
		return true, nil
	case 'F':
		return false, nil
	case 'i':
		n, err := r.size()
		return int64(n), err
	case 'l':
		return r.long()
	case 'g':
		raw, err := r.take(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(raw)), nil
	case 'u':
		raw, err := r.sized()
		return string(raw), err
	case 's':
		raw, err := r.sized()
		return append(Bytes{}, raw...), err
	case '(':
		values, err := r.values(depth)
		return Tuple(values), err
	case '[':
		return r.values(depth)
	case '{':
		return r.dict(depth)
	}
	return nil, fmt.Errorf("%w: type code %q", ErrFormat, code)
}

func (r *reader) values(depth int) ([]any, error) {
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	if size < 0 || size > len(r.data) { // each takes a byte at least
		return nil, fmt.Errorf("%w: cut short", ErrFormat)
	}
	values := make([]any, size)
	for i := range values {
		if values[i], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (r *reader) dict(depth int) (Dict, error) {
	found := Dict{}
	for {
		if len(r.data) > 0 && r.data[0] == '0' {
			r.data = r.data[1:]
			return found, nil
		}
		key, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("%w: a key that is no text", ErrFormat)
		}
		value, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		found = append(found, Item{name, value})
	}
}

// long reads an int of 15-bit digits, the lowest first.
func (r *reader) long() (any, error) {
	size, err := r.size()
	if err != nil {
		return nil, err
	}
	negative := size < 0
	if negative {
		size = -size
	}
	if size < 0 || size > len(r.data)/2 {
		return nil, fmt.Errorf("%w: cut short", ErrFormat)
	}
	raw, err := r.take(2 * size)
	if err != nil {
		return nil, err
	}
	value := new(big.Int)
	for i := size - 1; i >= 0; i-- {
		digit := binary.LittleEndian.Uint16(raw[2*i:])
		value.Or(value.Lsh(value, 15), big.NewInt(int64(digit&0x7fff)))
	}
	if negative {
		value.Neg(value)
	}
	if value.IsInt64() {
		return value.Int64(), nil
	}
	return value, nil
}
