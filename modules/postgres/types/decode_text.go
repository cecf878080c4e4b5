package types

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	"envoxyd/protocol/marshal"
)

// Values in text form: what the simple protocol gives, and mode exec.

func readTextBool(_ *Encoder, to, value []byte) ([]byte, error) {
	return marshal.AppendBool(to, string(value) == "t"), nil
}

func readTextInt(_ *Encoder, to, value []byte) ([]byte, error) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return to, errForm
	}
	return marshal.AppendInt(to, n), nil
}

func readTextFloat(_ *Encoder, to, value []byte) ([]byte, error) {
	switch text := string(value); text {
	case "NaN":
		return marshal.AppendFloat(to, math.NaN()), nil
	case "Infinity", "+Inf":
		return marshal.AppendFloat(to, math.Inf(1)), nil
	case "-Infinity", "-Inf":
		return marshal.AppendFloat(to, math.Inf(-1)), nil
	default:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return to, errForm
		}
		return marshal.AppendFloat(to, f), nil
	}
}

func readTextBytes(_ *Encoder, to, value []byte) ([]byte, error) {
	digits, found := strings.CutPrefix(string(value), `\x`)
	if !found {
		return to, errForm // bytea_output = escape
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return to, errForm
	}
	return marshal.AppendBytes(to, raw), nil
}

// textArrayReader reads '{1,"a b",NULL,{…}}' as nested lists.
func textArrayReader(element reader) reader {
	return func(e *Encoder, to, value []byte) ([]byte, error) {
		text := string(value)
		if strings.HasPrefix(text, "[") { // [0:1]={…}: with bounds
			_, after, found := strings.Cut(text, "=")
			if !found {
				return to, errForm
			}
			text = after
		}
		a := textArray{element: element, rest: text}
		to, err := a.list(e, to)
		if err == nil && a.rest != "" {
			err = errForm
		}
		return to, err
	}
}

type textArray struct {
	element reader
	rest    string
}

func (a *textArray) list(e *Encoder, to []byte) ([]byte, error) {
	if !strings.HasPrefix(a.rest, "{") {
		return to, errForm
	}
	a.rest = a.rest[1:]
	at, count := len(to), 0
	to = marshal.AppendList(to, 0)
	for !strings.HasPrefix(a.rest, "}") {
		var err error
		if count > 0 {
			if !strings.HasPrefix(a.rest, ",") {
				return to, errForm
			}
			a.rest = a.rest[1:]
		}
		if strings.HasPrefix(a.rest, "{") {
			to, err = a.list(e, to)
		} else {
			to, err = a.item(e, to)
		}
		if err != nil {
			return to, err
		}
		count++
	}
	a.rest = a.rest[1:]
	marshal.SetListSize(to, at, count)
	return to, nil
}

func (a *textArray) item(e *Encoder, to []byte) ([]byte, error) {
	var text strings.Builder
	quoted := strings.HasPrefix(a.rest, `"`)
	i := 0
	if quoted {
		i = 1
	}
	for ; i < len(a.rest); i++ {
		c := a.rest[i]
		switch {
		case c == '\\' && i+1 < len(a.rest):
			i++
			text.WriteByte(a.rest[i])
			continue
		case quoted && c == '"', !quoted && (c == ',' || c == '}'):
			a.rest = a.rest[i:]
			if quoted {
				a.rest = a.rest[1:]
			}
			if !quoted && text.String() == "NULL" {
				return append(to, 'N'), nil
			}
			return a.element(e, to, []byte(text.String()))
		}
		text.WriteByte(c)
	}
	return to, errForm
}
