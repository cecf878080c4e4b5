package logging

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"envoxyd/internal/logdate"
	"envoxyd/uwsgiopts"
)

// Style is the form that lines get, whoever writes them. The zero value leaves them as they are.
type Style struct {
	JSON  bool            // --log-json: an object for each record
	Date  *logdate.Layout // --log-date: before each line; nil: nothing is
	Color bool            // lines of the master's for a person
}

// StyleOf is what the configuration says of the form of lines.
func StyleOf(cfg *uwsgiopts.Config) (Style, error) {
	s := Style{JSON: cfg.LogJSON}
	if cfg.LogDate == "" || s.JSON {
		return s, nil
	}
	date, err := logdate.Parse(cfg.LogDate)
	if err != nil {
		return s, err
	}
	s.Date = &date
	return s, nil
}

// Plain tells whether lines stay as they are.
func (s Style) Plain() bool { return !s.JSON && s.Date == nil }

// Master puts a line of the master's own into form.
func (s Style) Master(line []byte) []byte {
	r := masterRecord(line)
	if s.Color {
		return paint(&r)
	}
	return s.append(nil, &r, sender{})
}

// paint makes what is usual faint, and the rest red or yellow.
func paint(r *record) []byte {
	code := "2"
	switch levelOf(r) {
	case levelWarning:
		code = "33"
	case levelError, levelCritical:
		code = "31"
	}
	return fmt.Appendf(nil, "\x1b[%sm%s\x1b[0m\n", code, withoutEnd(r.text))
}

func masterRecord(line []byte) record {
	return record{text: line, at: time.Now(), source: sourceMaster, pid: int32(os.Getpid()), kind: own}
}

// append appends a record in its form to dst.
func (s Style) append(dst []byte, r *record, who sender) []byte {
	switch {
	case s.JSON:
		return appendObject(dst, r, who)
	case s.Date != nil && r.kind != request: // lines about requests have a date of their own, or a format
		for line := range bytes.Lines(r.text) {
			dst = append(append(s.Date.Append(dst, r.at), " - "...), line...)
		}
		return dst
	}
	return append(dst, r.text...)
}

// pieces calls use for each record that the text of one makes in this style.
func (s Style) pieces(r *record, use func(r *record)) {
	if s.JSON && r.kind == foreign {
		splitObjects(r, use)
		return
	}
	use(r)
}
