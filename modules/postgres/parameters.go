package postgres

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"envoxyd/protocol/marshal"
)

// argument is one value as PostgreSQL gets it.
type argument struct {
	oid    uint32 // 0: PostgreSQL finds out, as it does for a quoted constant
	binary bool
	value  []byte // nil: NULL
}

// bound is a statement with its values.
type bound struct {
	text string
	args []argument
}

// bind puts values into a template. They are typed as the constants would be that a
// client would write into the text: the SQL was written and tried with those.
func (t *template) bind(params any, inline bool) (bound, error) {
	values, err := t.values(params)
	if err != nil {
		return bound{}, err
	}
	if inline || t.inline {
		text, err := t.inlined(values)
		return bound{text: text}, err
	}
	b := bound{text: t.text, args: make([]argument, 0, len(values))}
	lists := false
	for _, value := range values {
		if _, ok := value.([]any); ok {
			lists = true
			break
		}
		arg, err := argumentOf(value)
		if err != nil {
			return bound{}, err
		}
		b.args = append(b.args, arg)
	}
	if !lists {
		return b, nil
	}
	return t.expanded(values)
}

// values are the parameters by number.
func (t *template) values(params any) ([]any, error) {
	switch given := params.(type) {
	case marshal.Dict:
		if t.names == nil {
			if len(t.holes) > 0 {
				return nil, fmt.Errorf("%w: the SQL has %%s, which wants a list of parameters, not a dict", ErrUsage)
			}
			return nil, nil
		}
		values := make([]any, len(t.names))
		for i, name := range t.names {
			value, ok := given.Get(name)
			if !ok {
				return nil, fmt.Errorf("%w: the SQL names a parameter %q that is not given", ErrUsage, name)
			}
			values[i] = value
		}
		return values, nil
	case []any:
		if t.names != nil {
			return nil, fmt.Errorf("%w: the SQL names its parameters, which wants a dict", ErrUsage)
		}
		if len(given) != len(t.holes) {
			return nil, fmt.Errorf("%w: the SQL has %d parameters, %d are given", ErrUsage, len(t.holes), len(given))
		}
		return given, nil
	}
	return nil, fmt.Errorf("%w: parameters are a dict or a list", ErrUsage)
}

// expanded numbers the parameters again: a list stands for (…, …), as in "x IN %s".
func (t *template) expanded(values []any) (bound, error) {
	var b bound
	written := make([]string, len(values))
	for i, value := range values {
		var text strings.Builder
		if err := b.expand(&text, value); err != nil {
			return b, err
		}
		written[i] = text.String()
	}
	var text strings.Builder
	for i, piece := range t.pieces {
		text.WriteString(piece)
		if i < len(t.holes) {
			text.WriteString(written[t.holes[i].number])
		}
	}
	b.text = text.String()
	return b, nil
}

func (b *bound) expand(text *strings.Builder, value any) error {
	items, ok := value.([]any)
	if !ok {
		arg, err := argumentOf(value)
		b.args = append(b.args, arg)
		text.WriteString("$" + strconv.Itoa(len(b.args)))
		return err
	}
	text.WriteByte('(')
	for i, item := range items {
		if i > 0 {
			text.WriteString(", ")
		}
		if err := b.expand(text, item); err != nil {
			return err
		}
	}
	text.WriteByte(')')
	return nil
}

// argumentOf is a value of the wire: a plain one, or a tuple (oid, text).
func argumentOf(value any) (argument, error) {
	switch v := value.(type) {
	case nil:
		return argument{}, nil
	case bool:
		if v {
			return argument{oid: oidBool, value: []byte("t")}, nil
		}
		return argument{oid: oidBool, value: []byte("f")}, nil
	case int64:
		oid := uint32(oidInt4)
		if v < math.MinInt32 || v > math.MaxInt32 {
			oid = oidInt8
		}
		return argument{oid: oid, value: strconv.AppendInt(nil, v, 10)}, nil
	case *big.Int:
		return argument{oid: oidNumeric, value: v.Append(nil, 10)}, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return argument{oid: oidFloat8, value: []byte(notFinite(v))}, nil
		}
		return argument{oid: oidNumeric, value: strconv.AppendFloat(nil, v, 'g', -1, 64)}, nil
	case string:
		if err := checkText(v); err != nil {
			return argument{}, err
		}
		return argument{value: []byte(v)}, nil
	case marshal.Bytes:
		return argument{oid: oidBytea, binary: true, value: v}, nil
	case marshal.Tuple:
		oid, text, err := typedText(v)
		return argument{oid: oid, value: []byte(text)}, err
	}
	return argument{}, fmt.Errorf("%w: a parameter of an unknown kind (%T)", ErrUsage, value)
}

func typedText(v marshal.Tuple) (uint32, string, error) {
	if len(v) == 2 {
		oid, isNumber := v[0].(int64)
		text, isText := v[1].(string)
		if isNumber && isText {
			return uint32(oid), text, checkText(text)
		}
	}
	return 0, "", fmt.Errorf("%w: a parameter that is neither plain nor (type, text)", ErrUsage)
}

func checkText(text string) error {
	if strings.IndexByte(text, 0) >= 0 {
		return fmt.Errorf("%w: PostgreSQL's text cannot hold a NUL character", ErrUsage)
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

// inlined writes the values into the text as constants.
func (t *template) inlined(values []any) (string, error) {
	var text strings.Builder
	for i, piece := range t.pieces {
		text.WriteString(piece)
		if i < len(t.holes) {
			if err := constant(&text, values[t.holes[i].number], t.holes[i].bare); err != nil {
				return "", err
			}
		}
	}
	return text.String(), nil
}

// constant writes a value as SQL; a bare one without its type.
func constant(text *strings.Builder, value any, bare bool) error {
	if items, ok := value.([]any); ok {
		text.WriteByte('(')
		for i, item := range items {
			if i > 0 {
				text.WriteString(", ")
			}
			if err := constant(text, item, false); err != nil {
				return err
			}
		}
		text.WriteByte(')')
		return nil
	}
	arg, err := argumentOf(value)
	switch {
	case err != nil:
		return err
	case arg.value == nil:
		text.WriteString("NULL")
	case arg.binary:
		fmt.Fprintf(text, `E'\\x%x'::bytea`, arg.value)
	case bare:
		quote(text, string(arg.value))
	case arg.oid == oidBool && arg.value[0] == 't':
		text.WriteString("true")
	case arg.oid == oidBool:
		text.WriteString("false")
	case arg.oid == oidInt4, arg.oid == oidInt8, arg.oid == oidNumeric && isFinite(arg.value):
		text.WriteByte(' ') // 1-(-2), not a comment
		text.Write(arg.value)
	default:
		quote(text, string(arg.value))
		if name := typeNames[arg.oid]; name != "" {
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
