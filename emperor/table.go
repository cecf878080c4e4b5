package emperor

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"envoxyd/emperor/rows"
	"envoxyd/uwsgiopts"
)

// lookTime bounds a look at a database.
const lookTime = 10 * time.Second

// table is a source whose configurations are rows of a database: name, text, time of the last change; then, if the query has
// them, uid, gid, and the socket of an instance on demand.
type table struct {
	cfg     *uwsgiopts.EmperorConfig
	place   uwsgiopts.PostgresSource
	reader  *rows.Reader
	looking bool            // the reader is in use
	trouble string          // of the last look; "": it went well
	told    map[string]bool // what is wrong with rows, as the last look has found it
}

// errNull: a column that must have a value has none.
var errNull = errors.New("is NULL")

func newTable(cfg *uwsgiopts.EmperorConfig, place uwsgiopts.PostgresSource) (*table, error) {
	reader, err := rows.New(place.Connection, place.Query, lookTime)
	if err != nil {
		return nil, fmt.Errorf("emperor: %s: %w", place.Server(), err)
	}
	return &table{cfg: cfg, place: place, reader: reader}, nil
}

// Dir is where its instances run: where this process does.
func (t *table) Dir() string { return "" }

// Watched is nothing: only a look tells of changes.
func (t *table) Watched() string { return "" }

// look asks the database, beside everything else; one that does not answer holds up nothing but its own next look.
func (t *table) look(e *Emperor) {
	if t.looking {
		return
	}
	t.looking = true
	e.running.Go(func() {
		found, err := t.reader.Read(e.ctx)
		e.post(func(e *Emperor) {
			t.looking = false
			t.take(e, found, err)
		})
	})
}

// close ends the connection; nothing looks any more.
func (t *table) close() { t.reader.Close() }

// take acts on what a look has found. A database that is away ends nobody, nor does a row that cannot be used.
func (t *table) take(e *Emperor, lines []rows.Row, err error) {
	var found []Instance
	var kept, wrong []string
	if err == nil {
		found, kept, wrong, err = t.instances(lines)
	}
	if err != nil {
		if text := err.Error(); text != t.trouble {
			t.trouble = text
			e.log("[emperor] %s: %s; vassals stay as they are", t.place.Server(), text)
		}
		return
	}
	if t.trouble != "" {
		t.trouble = ""
		e.log("[emperor] %s answers again", t.place.Server())
	}
	told := map[string]bool{}
	for _, text := range wrong {
		if told[text] = true; !t.told[text] {
			e.log("[emperor] %s: %s", t.place.Server(), text)
		}
	}
	t.told = told
	e.found(t, found, kept)
}

// instances reads rows. kept are the instances of those that cannot be used, and wrong says why.
func (t *table) instances(lines []rows.Row) (found []Instance, kept, wrong []string, err error) {
	times := map[string]int{}
	for _, line := range lines {
		if len(line) < 3 {
			return nil, nil, nil, fmt.Errorf("the query gives %d columns, and name, configuration and timestamp are wanted", len(line))
		}
		times[string(line[0])]++
	}
	for _, line := range lines {
		name := string(line[0])
		one, err := t.instance(line)
		switch n := times[name]; {
		case line[0] == nil:
			wrong = append(wrong, "a row's name is NULL: it is passed over")
			continue
		case n == 0: // has been said
			continue
		case n > 1:
			err = fmt.Errorf("comes %d times", n)
			times[name] = 0
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("row %s %v: it is passed over", strconv.Quote(name), err))
			kept = append(kept, t.path(name))
			continue
		}
		found = append(found, one)
	}
	return found, kept, wrong, nil
}

// path is the name of an instance among those of all sources.
func (t *table) path(name string) string { return t.place.String() + "/" + name }

// instance reads a row.
func (t *table) instance(line rows.Row) (one Instance, err error) {
	name := string(line[0])
	one = Instance{ID: name, Path: t.path(name), Monitor: t.place.String(), Given: true, Text: string(line[1])}
	switch {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return one, errors.New("has characters in its name that cannot be shown")
	case option(t.cfg, name) == "":
		return one, errors.New("does not end as a configuration does (.ini, .xml, .yml, .yaml, .js, .json, or an emperor-extra-extension)")
	case line[1] == nil:
		return one, fmt.Errorf("has no configuration: it %w", errNull)
	case len(line[1]) > longestGiven:
		return one, fmt.Errorf("has a configuration of %d bytes, and %d are the most", len(line[1]), longestGiven)
	case bytes.IndexByte(line[1], 0) >= 0:
		return one, errors.New("has a configuration with a NUL byte")
	}
	if one.Changed, err = changed(line[2]); err != nil {
		return one, fmt.Errorf("has no timestamp: it %w", err)
	}
	for i, id := range []*uint32{&one.UID, &one.GID} {
		if len(line) <= 3+i || len(line[3+i]) == 0 {
			continue
		}
		n, err := strconv.ParseUint(string(line[3+i]), 10, 32)
		if err != nil || n == math.MaxUint32 {
			return one, fmt.Errorf("has no %s: it is %s", []string{"uid", "gid"}[i], strconv.Quote(string(line[3+i])))
		}
		*id = uint32(n)
	}
	if len(line) > 5 {
		one.Socket = string(line[5])
	}
	return one, nil
}

// changed reads a timestamp: seconds since the epoch, or a time of the database's.
func changed(text []byte) (time.Time, error) {
	if text == nil {
		return time.Time{}, errNull
	}
	word := strings.TrimSpace(string(text))
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return time.Unix(n, 0), nil
	}
	if f, err := strconv.ParseFloat(word, 64); err == nil && math.Abs(f) < 1<<50 {
		whole, part := math.Modf(f)
		return time.Unix(int64(whole), int64(part*1e9)), nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05Z07", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07:00:00", time.DateTime, time.DateOnly, time.RFC3339} {
		if moment, err := time.Parse(layout, word); err == nil {
			return moment, nil
		}
	}
	return time.Time{}, fmt.Errorf("is %s", strconv.Quote(word))
}
