package call

import (
	"errors"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"envoxyd/modules/postgres/problem"
	"envoxyd/protocol/marshal"
)

func TestTemplates(t *testing.T) {
	for _, c := range []struct {
		sql, text string
		names     []string
		holes     int
		inline    bool
		simple    bool
	}{
		{sql: "select 1", text: "select 1"},
		{sql: "select %s, %s", text: "select $1, $2", holes: 2},
		{sql: "select %(a)s, %(b)s, %(a)s", text: "select $1, $2, $1", names: []string{"a", "b"}, holes: 3},
		{sql: "select %(a)s::int", text: "select $1::int", names: []string{"a"}, holes: 1},
		{sql: "select %(with blank)s", text: "select $1", names: []string{"with blank"}, holes: 1},
		{sql: "select 5 %% 3, 5 % 3", text: "select 5 % 3, 5 % 3"},
		{sql: "select '%s %(a)s 100%% ''%s'", text: "select '%s %(a)s 100% ''%s'"},
		{sql: `select "%s%%""%s" from t`, text: `select "%s%""%s" from t`},
		{sql: `select E'\'%s', %s`, text: `select E'\'%s', $1`, holes: 1},
		{sql: `select e'\\', %s`, text: `select e'\\', $1`, holes: 1},
		{sql: `select '\', %s`, text: `select '\', $1`, holes: 1},
		{sql: "select 1 -- %s %% '\n, %s", text: "select 1 -- %s % '\n, $1", holes: 1},
		{sql: "select 1 /* %s /* ' */ %s */, %s", text: "select 1 /* %s /* ' */ %s */, $1", holes: 1},
		{sql: "select $$ %s ' $$, $a$ $$ %s $a$, %s", text: "select $$ %s ' $$, $a$ $$ %s $a$, $1", holes: 1},
		{sql: "select a$b$ from t$1 where x = %s", text: "select a$b$ from t$1 where x = $1", holes: 1},
		{sql: "select $1", text: "select $1"},
		{sql: "select 1e5, 0x1F, 1_0 %s", text: "select 1e5, 0x1F, 1_0 $1", holes: 1},
		{sql: "select 'not closed %s", text: "select 'not closed %s"},
		{sql: "select /* not closed %s", text: "select /* not closed %s"},
		{sql: "select $x$ not closed %s", text: "select $x$ not closed %s"},
		{sql: "select blå, 'ø%s', %s", text: "select blå, 'ø%s', $1", holes: 1},
		{sql: "(select %s)", text: "(select $1)", holes: 1},
		{sql: "  -- a comment\n with x as (select 1) select %s", text: "  -- a comment\n with x as (select 1) select $1", holes: 1},
		{sql: "select interval %s", text: "select interval $1", holes: 1, inline: true},
		{sql: "select INTERVAL\n%s", text: "select INTERVAL\n$1", holes: 1, inline: true},
		{sql: "select my_interval, %s", text: "select my_interval, $1", holes: 1},
		{sql: "set application_name to %s", text: "set application_name to $1", holes: 1, inline: true},
		{sql: "CREATE TABLE t ()", text: "CREATE TABLE t ()", inline: true},
		{sql: "select 1; -- done\n ", text: "select 1; -- done\n "},
		{sql: "select 1;;", text: "select 1;;"},
		{sql: "select ';'; select %s", text: "select ';'; select $1", holes: 1, inline: true, simple: true},
		{sql: "copy t from '/stdin'; select stdin", text: "copy t from '/stdin'; select stdin", inline: true, simple: true},
		{sql: "", text: ""},
		{sql: "%%", text: "%"},
	} {
		got, err := Parse(c.sql)
		if err != nil {
			t.Errorf("%q: %v", c.sql, err)
			continue
		}
		if got.text != c.text || !reflect.DeepEqual(got.names, c.names) || len(got.holes) != c.holes || got.inline != c.inline || got.simple != c.simple {
			t.Errorf("%q: text %q, names %q, %d holes, inline %v, simple %v", c.sql, got.text, got.names, len(got.holes), got.inline, got.simple)
		}
	}
}

func TestStatementsThatChangeTheSession(t *testing.T) {
	for sql, want := range map[string]bool{
		"set search_path to x": true, "SET /* */ LOCAL x = 1": false, "set transaction read only": false, "update t set a = 1": false,
		"select 1; set x = 1": true, "create temp table t ()": true, "create table temp ()": false, "listen x": true, "select set from t": false,
		"set 'x'": false, "reset all": true,
	} {
		if got, err := Parse(sql); err != nil || got.session != want {
			t.Errorf("%s: %v, %v", sql, got, err)
		}
	}
}

func TestTemplatesRefused(t *testing.T) {
	for _, sql := range []string{"select %(a", "select %(a)", "select %(a)d", "select %s, %(a)s", "select \x00", "copy t from stdin", "select 1; Copy (select ';') to\nSTDOUT"} {
		if got, err := Parse(sql); !errors.Is(err, problem.ErrUsage) {
			t.Errorf("%q: %+v, %v", sql, got, err)
		}
	}
}

func TestBind(t *testing.T) {
	big70 := new(big.Int).Lsh(big.NewInt(1), 70)
	for _, c := range []struct {
		sql    string
		params any
		text   string
		oids   []uint32
		values []string // "NULL" for NULL
	}{
		{"select %s, %s, %s", []any{int64(1), int64(1) << 40, big70}, "select $1, $2, $3", []uint32{pgtype.Int4OID, pgtype.Int8OID, pgtype.NumericOID}, []string{"1", "1099511627776", big70.String()}},
		{"select %s, %s, %s", []any{1.5, math.Inf(-1), 1e-7}, "select $1, $2, $3", []uint32{pgtype.NumericOID, pgtype.Float8OID, pgtype.NumericOID}, []string{"1.5", "-Infinity", "1e-07"}},
		{"select %s, %s, %s", []any{nil, true, "x"}, "select $1, $2, $3", []uint32{0, pgtype.BoolOID, 0}, []string{"NULL", "t", "x"}},
		{"select %s, %s", []any{marshal.Bytes{0, 1}, marshal.Tuple{int64(pgtype.UUIDOID), "u"}}, "select $1, $2", []uint32{pgtype.ByteaOID, pgtype.UUIDOID}, []string{"\x00\x01", "u"}},
		{"select %(a)s, %(b)s, %(a)s", marshal.Dict{{Key: "b", Value: "2"}, {Key: "unused", Value: nil}, {Key: "a", Value: "1"}}, "select $1, $2, $1", []uint32{0, 0}, []string{"1", "2"}},
		{"select 1 where x in %(l)s and y = %(y)s and z in %(l)s", marshal.Dict{{Key: "l", Value: []any{int64(7), "b"}}, {Key: "y"}},
			"select 1 where x in ($1, $2) and y = $3 and z in ($1, $2)", []uint32{pgtype.Int4OID, 0, 0}, []string{"7", "b", "NULL"}},
		{"select (1, 2) in %s", []any{[]any{[]any{int64(1), int64(2)}}}, "select (1, 2) in (($1, $2))", []uint32{pgtype.Int4OID, pgtype.Int4OID}, []string{"1", "2"}},
		{"select %s in %s", []any{"a", []any{}}, "select $1 in ()", []uint32{0}, []string{"a"}},
	} {
		template, err := Parse(c.sql)
		if err != nil {
			t.Fatal(err)
		}
		got, err := template.bind(c.params, false)
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		var oids []uint32
		var values []string
		for _, arg := range got.args {
			oids = append(oids, arg.OID)
			if arg.Value == nil {
				values = append(values, "NULL")
			} else {
				values = append(values, string(arg.Value))
			}
		}
		if got.text != c.text || !reflect.DeepEqual(oids, c.oids) || !reflect.DeepEqual(values, c.values) {
			t.Errorf("%s: %q %v %q", c.sql, got.text, oids, values)
		}
	}
}

func TestBindRefused(t *testing.T) {
	for _, c := range []struct {
		sql    string
		params any
	}{
		{"select %s", []any{}},
		{"select %s", []any{int64(1), int64(2)}},
		{"select %s", marshal.Dict{}},
		{"select %(a)s", []any{int64(1)}},
		{"select %(a)s", marshal.Dict{{Key: "b", Value: nil}}},
		{"select %s", []any{"a\x00b"}},
		{"select %s", []any{marshal.Tuple{int64(pgtype.DateOID)}}},
		{"select %s", []any{marshal.Dict{}}},
		{"select %s", int64(5)},
	} {
		template, err := Parse(c.sql)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := template.bind(c.params, false); !errors.Is(err, problem.ErrUsage) {
			t.Errorf("%s with %v: %+v, %v", c.sql, c.params, got, err)
		}
	}
}

func TestConstants(t *testing.T) {
	template, err := Parse("set x = %s, %s, %s, %s, %s, %s, %s, %s, %s, interval %s, interval %s")
	if err != nil {
		t.Fatal(err)
	}
	got, err := template.bind([]any{int64(-5), true, false, nil, `o'clock`, `back\slash'`, marshal.Bytes{0xde, 0xad}, math.NaN(),
		marshal.Tuple{int64(pgtype.DateOID), "2024-01-02"}, "1 day'", marshal.Tuple{int64(pgtype.IntervalOID), "2 days"}}, false)
	const want = `set x =  -5, true, false, NULL, 'o''clock',  E'back\\slash''', E'\\xdead'::bytea, 'NaN'::float8, '2024-01-02'::date, interval '1 day''', interval '2 days'`
	if err != nil || got.text != want {
		t.Errorf("%s, %v", got.text, err)
	}
}

// FuzzTemplate checks that whatever an application writes, what is not a parameter reaches the server as it is.
func FuzzTemplate(f *testing.F) {
	for _, sql := range []string{"select %(a)s, '%s' -- %s\n", "select $a$ %% $a$ %s", `E'\'' "a""b" /* /* */ */ %s`, "a;b;%s", "1.5e5%%", "$$%s"} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		got, err := Parse(sql)
		if err != nil {
			if !errors.Is(err, problem.ErrUsage) {
				t.Fatal(err)
			}
			return
		}
		if len(got.pieces) != len(got.holes)+1 {
			t.Fatalf("%d pieces, %d holes", len(got.pieces), len(got.holes))
		}
		var whole strings.Builder
		for i, piece := range got.pieces {
			whole.WriteString(piece)
			if i < len(got.holes) {
				if h := got.holes[i]; h.number < 0 || h.number >= got.arity() {
					t.Fatalf("hole %d of %d", h.number, got.arity())
				} else if got.names != nil {
					whole.WriteString("%(" + got.names[h.number] + ")s")
				} else {
					whole.WriteString("%s")
				}
			}
		}
		if strings.ReplaceAll(whole.String(), "%", "") != strings.ReplaceAll(sql, "%", "") {
			t.Fatalf("%q became %q", sql, whole.String())
		}
	})
}

// arity is how many values a template needs.
func (t *Template) arity() int {
	if t.names != nil {
		return len(t.names)
	}
	return len(t.holes)
}
