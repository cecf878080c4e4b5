package types

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"envoxyd/modules/postgres/problem"
	"envoxyd/protocol/marshal"
)

// Argument is one value as PostgreSQL gets it.
type Argument struct {
	OID    uint32 // 0: PostgreSQL finds out, as it does for a quoted constant
	Binary bool
	Value  []byte // nil: NULL
}

// ArgumentOf is a value of the wire: a plain one, or a tuple (oid, text).
func ArgumentOf(value any) (Argument, error) {
	switch v := value.(type) {
	case nil:
		return Argument{}, nil
	case bool:
		if v {
			return Argument{OID: pgtype.BoolOID, Value: []byte("t")}, nil
		}
		return Argument{OID: pgtype.BoolOID, Value: []byte("f")}, nil
	case int64:
		oid := uint32(pgtype.Int4OID)
		if v < math.MinInt32 || v > math.MaxInt32 {
			oid = pgtype.Int8OID
		}
		return Argument{OID: oid, Value: strconv.AppendInt(nil, v, 10)}, nil
	case *big.Int:
		return Argument{OID: pgtype.NumericOID, Value: v.Append(nil, 10)}, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return Argument{OID: pgtype.Float8OID, Value: []byte(notFinite(v))}, nil
		}
		return Argument{OID: pgtype.NumericOID, Value: strconv.AppendFloat(nil, v, 'g', -1, 64)}, nil
	case string:
		if err := checkText(v); err != nil {
			return Argument{}, err
		}
		return Argument{Value: []byte(v)}, nil
	case marshal.Bytes:
		return Argument{OID: pgtype.ByteaOID, Binary: true, Value: v}, nil
	case marshal.Tuple:
		oid, text, err := typedText(v)
		return Argument{OID: oid, Value: []byte(text)}, err
	}
	return Argument{}, fmt.Errorf("%w: a parameter of an unknown kind (%T)", problem.ErrUsage, value)
}

func typedText(v marshal.Tuple) (uint32, string, error) {
	if len(v) == 2 {
		oid, isNumber := v[0].(int64)
		text, isText := v[1].(string)
		if isNumber && isText {
			return uint32(oid), text, checkText(text)
		}
	}
	return 0, "", fmt.Errorf("%w: a parameter that is neither plain nor (type, text)", problem.ErrUsage)
}

func checkText(text string) error {
	if strings.IndexByte(text, 0) >= 0 {
		return fmt.Errorf("%w: PostgreSQL's text cannot hold a NUL character", problem.ErrUsage)
	}
	return nil
}

func notFinite(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case v > 0:
		return "Infinity"
	}
	return "-Infinity"
}

// AppendConstant writes a value as SQL; a bare one without its type.
func AppendConstant(text *strings.Builder, value any, bare bool) error {
	if items, ok := value.([]any); ok {
		text.WriteByte('(')
		for i, item := range items {
			if i > 0 {
				text.WriteString(", ")
			}
			if err := AppendConstant(text, item, false); err != nil {
				return err
			}
		}
		text.WriteByte(')')
		return nil
	}
	arg, err := ArgumentOf(value)
	switch {
	case err != nil:
		return err
	case arg.Value == nil:
		text.WriteString("NULL")
	case arg.Binary:
		fmt.Fprintf(text, `E'\\x%x'::bytea`, arg.Value)
	case bare:
		quote(text, string(arg.Value))
	case arg.OID == pgtype.BoolOID && arg.Value[0] == 't':
		text.WriteString("true")
	case arg.OID == pgtype.BoolOID:
		text.WriteString("false")
	case arg.OID == pgtype.Int4OID, arg.OID == pgtype.Int8OID, arg.OID == pgtype.NumericOID && isFinite(arg.Value):
		text.WriteByte(' ') // 1-(-2), not a comment
		text.Write(arg.Value)
	default:
		quote(text, string(arg.Value))
		if name := typeName(arg.OID); name != "" {
			text.WriteString("::" + name)
		}
	}
	return nil
}

func isFinite(number []byte) bool {
	return len(number) > 0 && strings.IndexByte("0123456789-.", number[0]) >= 0 && !strings.HasPrefix(string(number), "-I")
}

// quote writes a constant that means the same whatever standard_conforming_strings says.
func quote(text *strings.Builder, value string) {
	if strings.IndexByte(value, '\\') >= 0 {
		text.WriteString(" E")
		value = strings.ReplaceAll(value, `\`, `\\`)
	}
	text.WriteByte('\'')
	text.WriteString(strings.ReplaceAll(value, "'", "''"))
	text.WriteByte('\'')
}
