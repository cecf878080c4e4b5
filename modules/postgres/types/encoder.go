package types

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"envoxyd/protocol/marshal"
)

// A result crosses to Python as a tuple (rows, columns). rows is the list of dicts, whole
// but for the columns whose types the marshal format lacks (kind.deferred); these stand
// in columns as (name, kind, nested, holed, values, more): Python converts a column at a
// time and puts it into the rows.

// reader appends one value of the server's to a marshalled result.
type reader func(e *Encoder, to, value []byte) ([]byte, error)

// Column is how one column of a result is read.
type Column struct {
	name   string
	number int     // among the keys; of two columns of one name the latter
	kind   kind    // what Python makes of it
	nested bool    // an array
	read   reader  // of its binary or text form
	ref    [5]byte // the marshalled reference to its name
	first  bool    // the first column of its name
}

// PlanColumns chooses how each column is read, and the format to ask for: binary for
// the types that are known here, text for all others.
func PlanColumns(fields []pgconn.FieldDescription) ([]Column, []int16) {
	formats := make([]int16, len(fields))
	for i := range fields {
		_, array := elementOf(fields[i].DataTypeOID)
		if array || codecs[fields[i].DataTypeOID].binary != nil {
			formats[i] = pgtype.BinaryFormatCode
		}
	}
	return ColumnsFor(fields, formats), formats
}

// ColumnsFor plans columns that come in given formats.
func ColumnsFor(fields []pgconn.FieldDescription, formats []int16) []Column {
	columns := make([]Column, len(fields))
	numbers := map[string]int{}
	for i := range fields {
		c := &columns[i]
		c.name = fields[i].Name
		number, seen := numbers[c.name]
		if !seen {
			number = len(numbers)
			numbers[c.name] = number
			c.first = true
		}
		c.number = number
		marshal.AppendRef(c.ref[:0], number)
		c.kind, c.nested, c.read = readerOf(fields[i].DataTypeOID, formats[i])
	}
	return columns
}

// Matches tells whether what came is what was planned for.
func Matches(columns []Column, planned, came []pgconn.FieldDescription) bool {
	if len(came) != len(columns) || len(planned) != len(came) {
		return false
	}
	for i := range came {
		if came[i].DataTypeOID != planned[i].DataTypeOID || came[i].Name != columns[i].name {
			return false
		}
	}
	return true
}

func readerOf(oid uint32, format int16) (kind, bool, reader) {
	if textElements[oid] && format == pgtype.TextFormatCode {
		return direct, false, textArrayReader(readText)
	}
	codec := codecs[oid]
	element, nested := elementOf(oid)
	if nested {
		codec = codecs[element]
	}
	switch {
	case codec.binary == nil && format == pgtype.BinaryFormatCode:
		return direct, false, unreadable
	case codec.binary == nil:
		return direct, false, readText
	case format == pgtype.BinaryFormatCode && nested:
		return codec.kind, true, arrayReader(codec.binary)
	case format == pgtype.BinaryFormatCode:
		return codec.kind, false, codec.binary
	}
	read := codec.text
	if read == nil {
		read = transcoder(oid, codec.binary)
		if nested {
			read = transcoder(element, codec.binary)
		}
	}
	if nested {
		read = textArrayReader(read)
	}
	return codec.kind, nested, read
}

// Encoder makes one reply. It is used again for the next.
type Encoder struct {
	Zone *time.Location // of timestamptz: the session's

	out      []byte
	deferred []deferredColumn // by column
	count    int
	types    *pgtype.Map // for values in text form; nil until one comes
}

type deferredColumn struct {
	values []byte // marshalled, without the list's head
	more   []byte
	nulls  int
}

// rowsAt is where the rows' list begins: behind the head of the tuple (rows, columns).
const rowsAt = 5

func (e *Encoder) begin() {
	e.out = marshal.AppendList(marshal.AppendTuple(e.out[:0], 2), 0)
	e.count = 0
}

// Rows begins a reply with all rows of a result.
func (e *Encoder) Rows(result *pgconn.ResultReader, columns []Column) error {
	e.begin()
	for len(e.deferred) < len(columns) {
		e.deferred = append(e.deferred, deferredColumn{})
	}
	for i := range columns {
		d := &e.deferred[i]
		d.values, d.more, d.nulls = d.values[:0], d.more[:0], 0
	}
	out := e.out
	for result.NextRow() {
		values := result.Values()
		if len(values) != len(columns) {
			return fmt.Errorf("a row has %d columns, %d were announced", len(values), len(columns))
		}
		out = append(out, '{')
		for i, value := range values {
			c := &columns[i]
			if e.count == 0 && c.first {
				out = marshal.AppendKey(out, c.name)
			} else {
				out = append(out, c.ref[:]...)
			}
			var err error
			switch {
			case c.kind == direct && value != nil:
				out, err = c.read(e, out, value)
			case c.kind == direct:
				out = append(out, 'N')
			case value == nil:
				out = append(out, 'N')
				e.deferred[i].values = append(e.deferred[i].values, 'N')
				e.deferred[i].nulls++
			default:
				out = append(out, 'N')
				e.deferred[i].values, err = c.read(e, e.deferred[i].values, value)
			}
			if err != nil {
				return fmt.Errorf("column %q: %w", c.name, err)
			}
		}
		out = append(out, '0')
		e.count++
	}
	e.out = out
	return nil
}

// Finish appends the columns that Python converts. It returns the reply, which is the Encoder's.
func (e *Encoder) Finish(columns []Column) []byte {
	marshal.SetListSize(e.out, rowsAt, e.count)
	late := 0
	if e.count > 0 {
		for i := range columns {
			if columns[i].kind != direct {
				late++
			}
		}
	}
	out := marshal.AppendTuple(e.out, late)
	for i := range columns {
		c, d := &columns[i], &e.deferred[i]
		if late == 0 || c.kind == direct {
			continue
		}
		out = marshal.AppendRef(marshal.AppendTuple(out, 5), c.number)
		out = marshal.AppendText(out, string(c.kind))
		out = marshal.AppendBool(out, c.nested)
		out = marshal.AppendBool(out, d.nulls > 0)
		out = append(marshal.AppendList(out, e.count), d.values...)
	}
	e.out = out
	return out
}

// Nothing is the reply of a statement without rows.
func Nothing() []byte {
	return marshal.AppendTuple(marshal.AppendList(marshal.AppendTuple(nil, 2), 0), 0)
}
