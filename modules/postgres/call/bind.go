package call

import (
	"fmt"
	"strconv"
	"strings"

	"envoxyd/modules/postgres/problem"
	"envoxyd/modules/postgres/types"
	"envoxyd/protocol/marshal"
)

// bound is a statement with its values.
type bound struct {
	text string
	args []types.Argument
}

// bind puts values into a template. They are typed as the constants would be that a
// client would write into the text: the SQL was written and tried with those.
func (t *Template) bind(params any, inline bool) (bound, error) {
	values, err := t.values(params)
	if err != nil {
		return bound{}, err
	}
	if inline || t.inline {
		text, err := t.inlined(values)
		return bound{text: text}, err
	}
	b := bound{text: t.text, args: make([]types.Argument, 0, len(values))}
	lists := false
	for _, value := range values {
		if _, ok := value.([]any); ok {
			lists = true
			break
		}
		arg, err := types.ArgumentOf(value)
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
func (t *Template) values(params any) ([]any, error) {
	switch given := params.(type) {
	case marshal.Dict:
		if t.names == nil {
			if len(t.holes) > 0 {
				return nil, fmt.Errorf("%w: the SQL has %%s, which wants a list of parameters, not a dict", problem.ErrUsage)
			}
			return nil, nil
		}
		values := make([]any, len(t.names))
		for i, name := range t.names {
			value, ok := given.Get(name)
			if !ok {
				return nil, fmt.Errorf("%w: the SQL names a parameter %q that is not given", problem.ErrUsage, name)
			}
			values[i] = value
		}
		return values, nil
	case []any:
		if t.names != nil {
			return nil, fmt.Errorf("%w: the SQL names its parameters, which wants a dict", problem.ErrUsage)
		}
		if len(given) != len(t.holes) {
			return nil, fmt.Errorf("%w: the SQL has %d parameters, %d are given", problem.ErrUsage, len(t.holes), len(given))
		}
		return given, nil
	}
	return nil, fmt.Errorf("%w: parameters are a dict or a list", problem.ErrUsage)
}

// expanded numbers the parameters again: a list stands for (…, …), as in "x IN %s".
func (t *Template) expanded(values []any) (bound, error) {
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
		arg, err := types.ArgumentOf(value)
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

// inlined writes the values into the text as constants.
func (t *Template) inlined(values []any) (string, error) {
	var text strings.Builder
	for i, piece := range t.pieces {
		text.WriteString(piece)
		if i < len(t.holes) {
			if err := types.AppendConstant(&text, values[t.holes[i].number], t.holes[i].bare); err != nil {
				return "", err
			}
		}
	}
	return text.String(), nil
}
