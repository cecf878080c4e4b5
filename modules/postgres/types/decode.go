package types

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"

	"envoxyd/protocol/marshal"
)

// kind names what Python makes of a value; direct ones are whole as they come.
type kind string

const (
	direct      kind = ""
	decimal     kind = "numeric" // text
	date        kind = "date"    // text, as the next two
	timeOfDay   kind = "time"
	timestamp   kind = "timestamp"
	interval    kind = "interval" // (days, seconds, microseconds)
	jsonText    kind = "json"     // text
	binaryBytes kind = "bytea"    // bytes
)

// codec reads the two forms of a type. A type without text form is read by pgx's own types.
type codec struct {
	kind         kind
	binary, text reader
}

var codecs map[uint32]codec

func init() { // a variable of its own would refer to itself through transcoder
	codecs = map[uint32]codec{
		pgtype.BoolOID:        {direct, readBool, readTextBool},
		pgtype.Int2OID:        {direct, readInt2, readTextInt},
		pgtype.Int4OID:        {direct, readInt4, readTextInt},
		pgtype.Int8OID:        {direct, readInt8, readTextInt},
		pgtype.OIDOID:         {direct, readOID, readTextInt},
		pgtype.Float4OID:      {direct, readFloat4, readTextFloat},
		pgtype.Float8OID:      {direct, readFloat8, readTextFloat},
		pgtype.TextOID:        {direct, readText, readText},
		pgtype.VarcharOID:     {direct, readText, readText},
		pgtype.BPCharOID:      {direct, readText, readText},
		pgtype.NameOID:        {direct, readText, readText},
		pgtype.QCharOID:       {direct, readText, readText},
		pgtype.UUIDOID:        {direct, readUUID, readText},
		pgtype.ByteaOID:       {binaryBytes, readBytes, readTextBytes},
		pgtype.JSONOID:        {jsonText, readText, readText},
		pgtype.JSONBOID:       {jsonText, readJSONB, readText},
		pgtype.NumericOID:     {decimal, readNumeric, readText},
		pgtype.DateOID:        {date, readDate, nil},
		pgtype.TimeOID:        {timeOfDay, readTime, nil},
		pgtype.TimetzOID:      {timeOfDay, readTimetz, readTextTimetz},
		pgtype.TimestampOID:   {timestamp, readTimestamp, nil},
		pgtype.TimestamptzOID: {timestamp, readTimestamptz, nil},
		pgtype.IntervalOID:    {interval, readInterval, nil},
	}
}

var errForm = errors.New("a value of a form that is not known")

func unreadable(_ *Encoder, to, _ []byte) ([]byte, error) {
	return to, errors.New("its type has changed since the statement was prepared")
}

func readText(_ *Encoder, to, value []byte) ([]byte, error) {
	return marshal.AppendText(to, value), nil
}

func readBool(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 1 {
		return to, errForm
	}
	return marshal.AppendBool(to, value[0] != 0), nil
}

func readInt2(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 2 {
		return to, errForm
	}
	return marshal.AppendInt(to, int64(int16(binary.BigEndian.Uint16(value)))), nil
}

func readInt4(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 4 {
		return to, errForm
	}
	return marshal.AppendInt(to, int64(int32(binary.BigEndian.Uint32(value)))), nil
}

func readInt8(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 8 {
		return to, errForm
	}
	return marshal.AppendInt(to, int64(binary.BigEndian.Uint64(value))), nil
}

func readOID(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 4 {
		return to, errForm
	}
	return marshal.AppendInt(to, int64(binary.BigEndian.Uint32(value))), nil
}

// readFloat4 gives the shortest decimal number that is this float4, as the server's text does.
func readFloat4(e *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 4 {
		return to, errForm
	}
	narrow := math.Float32frombits(binary.BigEndian.Uint32(value))
	return readTextFloat(e, to, strconv.AppendFloat(nil, float64(narrow), 'g', -1, 32))
}

func readFloat8(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 8 {
		return to, errForm
	}
	return marshal.AppendFloat(to, math.Float64frombits(binary.BigEndian.Uint64(value))), nil
}

func readUUID(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 16 {
		return to, errForm
	}
	to = append(to, 'z', 36)
	start := len(to)
	to = append(to, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"...)
	text := to[start:]
	hex.Encode(text[0:8], value[0:4])
	hex.Encode(text[9:13], value[4:6])
	hex.Encode(text[14:18], value[6:8])
	hex.Encode(text[19:23], value[8:10])
	hex.Encode(text[24:36], value[10:16])
	return to, nil
}

func readBytes(_ *Encoder, to, value []byte) ([]byte, error) {
	return marshal.AppendBytes(to, value), nil
}

func readJSONB(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) < 1 || value[0] != 1 {
		return to, errForm
	}
	return marshal.AppendText(to, value[1:]), nil
}

// arrayReader reads an array of any number of dimensions as nested lists.
func arrayReader(element reader) reader {
	return func(e *Encoder, to, value []byte) ([]byte, error) {
		if len(value) < 12 {
			return to, errForm
		}
		dimensions := int(binary.BigEndian.Uint32(value))
		value = value[12:] // also flags and the elements' type
		if dimensions == 0 {
			return marshal.AppendList(to, 0), nil
		}
		if dimensions > 6 || len(value) < 8*dimensions { // PostgreSQL's MAXDIM
			return to, errForm
		}
		a := array{element: element, rest: value[8*dimensions:]}
		for i := range dimensions {
			a.sizes = append(a.sizes, int(binary.BigEndian.Uint32(value[8*i:])))
		}
		return a.read(e, to, 0)
	}
}

type array struct {
	element reader
	sizes   []int
	rest    []byte
}

func (a *array) read(e *Encoder, to []byte, dimension int) ([]byte, error) {
	to = marshal.AppendList(to, a.sizes[dimension])
	for range a.sizes[dimension] {
		var err error
		if dimension+1 < len(a.sizes) {
			to, err = a.read(e, to, dimension+1)
		} else {
			to, err = a.one(e, to)
		}
		if err != nil {
			return to, err
		}
	}
	return to, nil
}

func (a *array) one(e *Encoder, to []byte) ([]byte, error) {
	if len(a.rest) < 4 {
		return to, errForm
	}
	size := int(int32(binary.BigEndian.Uint32(a.rest)))
	a.rest = a.rest[4:]
	if size < 0 {
		return append(to, 'N'), nil
	}
	if size > len(a.rest) {
		return to, errForm
	}
	value := a.rest[:size]
	a.rest = a.rest[size:]
	return a.element(e, to, value)
}

// readNumeric writes PostgreSQL's base 10000 as decimal text.
func readNumeric(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) < 8 {
		return to, errForm
	}
	count := int(binary.BigEndian.Uint16(value))
	weight := int(int16(binary.BigEndian.Uint16(value[2:])))
	sign := binary.BigEndian.Uint16(value[4:])
	scale := int(binary.BigEndian.Uint16(value[6:]))
	digits := value[8:]
	if len(digits) != 2*count {
		return to, errForm
	}
	switch sign {
	case 0xc000:
		return marshal.AppendText(to, "NaN"), nil
	case 0xd000:
		return marshal.AppendText(to, "Infinity"), nil
	case 0xf000:
		return marshal.AppendText(to, "-Infinity"), nil
	}
	var room [64]byte
	text := room[:0]
	if sign == 0x4000 {
		text = append(text, '-')
	}
	digit := func(i int) int { // the i-th from the point: 0 is the units of 10000
		if at := weight - i; at >= 0 && at < count {
			return int(binary.BigEndian.Uint16(digits[2*at:]))
		}
		return 0
	}
	if weight < 0 {
		text = append(text, '0')
	} else {
		text = strconv.AppendInt(text, int64(digit(weight)), 10)
		for i := weight - 1; i >= 0; i-- {
			text = appendFour(text, digit(i))
		}
	}
	if scale > 0 {
		text = append(text, '.')
		for i := -1; scale > 0; i-- {
			text = appendFour(text, digit(i))
			if scale < 4 {
				text = text[:len(text)-4+scale]
			}
			scale -= 4
		}
	}
	return marshal.AppendText(to, text), nil
}

func appendFour(to []byte, n int) []byte {
	return append(to, byte('0'+n/1000%10), byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
}

// transcoder reads text by pgx's types, by way of the binary form.
func transcoder(oid uint32, read reader) reader {
	return func(e *Encoder, to, value []byte) ([]byte, error) {
		if form := endless(oid, string(value)); form != nil {
			return read(e, to, form)
		}
		if e.types == nil {
			e.types = pgtype.NewMap()
		}
		known, ok := e.types.TypeForOID(oid)
		if !ok {
			return readText(e, to, value)
		}
		decoded, err := known.Codec.DecodeValue(e.types, oid, pgtype.TextFormatCode, value)
		if err != nil {
			return to, fmt.Errorf("reading %s: %w", known.Name, err)
		}
		form, err := e.types.Encode(oid, pgtype.BinaryFormatCode, decoded, nil)
		if err != nil {
			return to, fmt.Errorf("reading %s: %w", known.Name, err)
		}
		return read(e, to, form)
	}
}
