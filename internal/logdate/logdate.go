// Package logdate writes the dates of log lines as --log-date asks for them.
package logdate

import (
	"fmt"
	"time"

	"github.com/lestrrat-go/strftime"
)

// Layout is how a date is written. The zero value writes it as ctime(3) does.
type Layout struct{ format *strftime.Strftime }

// Parse reads the value of --log-date: "true" for ctime's form, else a strftime format.
func Parse(text string) (Layout, error) {
	if text == "true" {
		return Layout{}, nil
	}
	format, err := strftime.New(text, strftime.WithUnixSeconds('s'))
	if err != nil {
		return Layout{}, fmt.Errorf("log-date: %q: %w", text, err)
	}
	return Layout{format}, nil
}

// Append appends t, in its own time zone, to dst.
func (l Layout) Append(dst []byte, t time.Time) []byte {
	if l.format == nil {
		return t.AppendFormat(dst, time.ANSIC)
	}
	return l.format.FormatBuffer(dst, t)
}
