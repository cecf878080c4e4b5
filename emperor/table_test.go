package emperor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"envoxyd/emperor/rows"
	"envoxyd/uwsgiopts"
)

func row(columns ...string) rows.Row {
	var r rows.Row
	for _, text := range columns {
		if text == "NULL" {
			r = append(r, nil)
		} else {
			r = append(r, []byte(text))
		}
	}
	return r
}

func testTable(t *testing.T) *table {
	t.Helper()
	place, _, err := uwsgiopts.ReadPostgresSource("pg://host=h password=hidden;SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	source, err := newTable(&uwsgiopts.EmperorConfig{EmperorExtensions: []string{".conf"}}, place)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestRowsAsInstances(t *testing.T) {
	source := testTable(t)
	for _, c := range []struct {
		row  rows.Row
		want string // in what is wrong; "": nothing
		kept bool
	}{
		{row("a.ini", "text", "5"), "", false},
		{row("a.conf", "", "5.5", "1", "2", ":80", "more"), "", false},
		{row("a.ini", "text", "5", "NULL", "NULL", "NULL"), "", false},
		{row("NULL", "text", "5"), "a row's name is NULL", false},
		{row("a.txt", "text", "5"), "does not end as a configuration does", true},
		{row("", "text", "5"), "does not end as a configuration does", true},
		{row("a\n.ini", "text", "5"), `row "a\n.ini" has characters in its name`, true},
		{row("a.ini", "NULL", "5"), "it is NULL", true},
		{row("a.ini", "text", "NULL"), "no timestamp: it is NULL", true},
		{row("a.ini", "text", "infinity"), `no timestamp: it is "infinity"`, true},
		{row("a.ini", "text", ""), `no timestamp: it is ""`, true},
		{row("a.ini", "te\x00xt", "5"), "NUL", true},
		{row("a.ini", strings.Repeat("x", longestGiven+1), "5"), "65536 bytes, and 65535 are the most", true},
		{row("a.ini", "text", "5", "root", "1"), `no uid: it is "root"`, true},
		{row("a.ini", "text", "5", "1", "4294967295"), `no gid: it is "4294967295"`, true},
		{row("a.ini", "text", "5", "-1", "1"), `no uid: it is "-1"`, true},
	} {
		found, kept, wrong, err := source.instances([]rows.Row{c.row})
		text := strings.Join(wrong, "\n")
		if err != nil || !strings.Contains(text, c.want) || (text == "") != (c.want == "") || (len(found) == 1) != (c.want == "") || (len(kept) == 1) != c.kept {
			t.Errorf("%q: %+v, kept %q, wrong %q, %v", c.row, found, kept, text, err)
		}
		for _, one := range found {
			if !one.Given || one.Text != string(c.row[1]) || one.ID != string(c.row[0]) || strings.Contains(one.Monitor+one.Path, "hidden") {
				t.Errorf("%q: %+v", c.row, one)
			}
		}
	}
	found, _, _, err := source.instances([]rows.Row{row("a.ini", "text", "5", "1", "2", ":80")})
	if err != nil || found[0].UID != 1 || found[0].GID != 2 || found[0].Socket != ":80" || !found[0].Changed.Equal(time.Unix(5, 0)) {
		t.Errorf("%+v, %v", found, err)
	}
	if _, _, _, err := source.instances([]rows.Row{row("a.ini", "text")}); err == nil || !strings.Contains(err.Error(), "gives 2 columns") {
		t.Errorf("two columns: %v", err)
	}
}

func TestNamesThatComeTwice(t *testing.T) {
	source := testTable(t)
	found, kept, wrong, err := source.instances([]rows.Row{
		row("twice.ini", "1", "1"), row("a.ini", "text", "1"), row("twice.ini", "2", "2"), row("NULL", "text", "1"), row("NULL", "text", "1")})
	if err != nil || len(found) != 1 || found[0].ID != "a.ini" || !slices.Equal(kept, []string{source.path("twice.ini")}) {
		t.Errorf("%+v, kept %q, %v", found, kept, err)
	}
	if len(wrong) != 3 || wrong[0] != `row "twice.ini" comes 2 times: it is passed over` {
		t.Errorf("%q", wrong)
	}
}

func TestTimestamps(t *testing.T) {
	moment := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"1767323045": moment, " 1767323045 ": moment, "1767323045.5": moment.Add(time.Second / 2), "1.767323045e9": moment, "-1": time.Unix(-1, 0),
		"2026-01-02 03:04:05": moment, "2026-01-02 03:04:05+00": moment, "2026-01-02 08:34:05.25+05:30": moment.Add(time.Second / 4),
		"2026-01-01 22:04:05-05": moment, "2026-01-02 03:53:37+00:49:32": moment, "2026-01-02T03:04:05Z": moment,
		"2026-01-02": moment.Truncate(24 * time.Hour),
	} {
		if got, err := changed([]byte(text)); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "now", "-infinity", "NaN", "1e300", "02.01.2026 03:04:05 CET"} {
		if got, err := changed([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestTroubleIsToldOnceEachTime(t *testing.T) {
	source := testTable(t)
	var lines []string
	e := &Emperor{cfg: source.cfg, vassals: map[string]*vassal{}, log: func(format string, args ...any) {
		lines = append(lines, strings.TrimPrefix(strings.ReplaceAll(format, "%s", "")+" "+args[len(args)-1].(string), "[emperor] "))
	}}
	bad := []rows.Row{row("a.txt", "text", "1")}
	for _, look := range []struct {
		found []rows.Row
		err   error
		lines int
	}{
		{nil, errNull, 1}, {nil, errNull, 0}, {[]rows.Row{row("x")}, nil, 1}, {[]rows.Row{row("x")}, nil, 0}, {nil, errNull, 1},
		{bad, nil, 2}, {bad, nil, 0}, {nil, errNull, 1}, {bad, nil, 1}, {nil, nil, 0}, {bad, nil, 1},
	} {
		lines = nil
		source.take(e, look.found, look.err)
		if len(lines) != look.lines {
			t.Errorf("%q, %v: %q; want %d lines", look.found, look.err, lines, look.lines)
		}
	}
	if strings.Contains(strings.Join(lines, ""), "hidden") {
		t.Errorf("%q show the password", lines)
	}
}
