package postgres

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"envoxyd/modules/postgres/call"
	"envoxyd/modules/postgres/pool"
	"envoxyd/modules/postgres/problem"
	"envoxyd/modules/postgres/types"
	"envoxyd/protocol/marshal"
)

// Every test of a server shares one, but for those that stop it.

func TestWithServer(t *testing.T) {
	p := startPrivate(t)
	for name, test := range map[string]func(*testing.T, *private){
		"values come back":                               valuesComeBack,
		"types follow the text":                          typesFollowTheText,
		"errors name their cause":                        errorsNameTheirCause,
		"each mode gives the same":                       eachModeGivesTheSame,
		"max_conn bounds the pool":                       maxConnBoundsThePool,
		"transactions":                                   transactions,
		"a refused type does not end a transaction":      refusedTypeInTransaction,
		"a changed table is noticed":                     changedTable,
		"statements are given up":                        statementsAreGivenUp,
		"close ends all sessions":                        closeEndsAllSessions,
		"statement_timeout":                              statementTimeout,
		"a session that was ended is replaced unnoticed": endedSessionIsReplaced,
		"no secret in errors":                            noSecretInErrors,
		"a changed session serves nobody else":           changedSessionServesNobodyElse,
		"COPY is refused":                                copyIsRefused,
		"the end of a context cancels":                   endedContextCancels,
		"the end of a context in a transaction":          endedContextInTransaction,
		"the end of a context before a statement":        endedContextBeforeTheStatement,
		"other calls go on":                              otherCallsGoOn,
		"the end of a context ends waiting":              endedContextWaitsForNoConnection,
		"close while a transaction is busy":              closeWhileATransactionIsBusy,
		"an interrupt is handled while a call waits":     interruptHandledWhileWaiting,
	} {
		t.Run(name, func(t *testing.T) { test(t, p) })
	}
}

// service is a connector of the test's own.
func service(t *testing.T, p *private, more map[string]any) *Service {
	t.Helper()
	s := New()
	t.Cleanup(s.Close)
	p.open(s, more)
	return s
}

func valuesComeBack(t *testing.T, p *private) {
	s := service(t, p, nil)
	mustBeText(t, s, "5", "%s", int64(5))
	mustBeText(t, s, "integer", "pg_typeof(%s)", int64(5))
	mustBeText(t, s, "bigint", "pg_typeof(%s)", int64(1)<<40)
	mustBeText(t, s, "numeric", "pg_typeof(%s)", 1.5)
	mustBeText(t, s, "o'clock", "%s", "o'clock")
	mustBeText(t, s, `\x00ff`, "%s", marshal.Bytes{0, 0xff})
	mustBeText(t, s, "2024-01-03", "%s + 1", marshal.Tuple{int64(pgtype.DateOID), "2024-01-02"})
	mustBeText(t, s, "true", "'b' in %s", []any{"a", "b"})
	if got, err := ask(s, "create table if not exists empty ()"); err != nil || got != string(types.Nothing()) {
		t.Errorf("create table: %q, %v", got, err)
	}
}

func typesFollowTheText(t *testing.T, p *private) {
	s := service(t, p, nil)
	mustBeText(t, s, "true", "%s is null", nil)
	mustBeText(t, s, `{"k": "x"}`, "jsonb_build_object('k', %s)", "x")
	mustBeText(t, s, "2 days", "interval %s", "2 days")
	if _, err := ask(s, "set application_name to %s", "o'name"); err != nil {
		t.Error(err)
	}
	mustBeText(t, s, "2", "select count(*) from unnest(%s) u", marshal.Tuple{int64(1009), "{a,b}"})
	got, err := ask(s, "create temp table several (a text); insert into several values (%s), ('y'); select a as v from several where a = 'x;'", "x;")
	if err != nil || got != oneText("v", "x;") {
		t.Errorf("several statements: %q, %v", got, err)
	}
}

func errorsNameTheirCause(t *testing.T, p *private) {
	s := service(t, p, nil)
	if _, err := ask(s, "create table if not exists once (a int constraint only_once unique)"); err != nil {
		t.Fatal(err)
	}
	_, _ = ask(s, "insert into once values (1)")
	for sql, want := range map[string]problem.Problem{
		"select nothing from nowhere":  {Message: `relation "nowhere" does not exist (SQLSTATE 42P01)`, SQLState: "42P01"},
		"insert into once values (1)":  {SQLState: "23505", Constraint: "only_once", Table: "once", Schema: "public"},
		"select 1/0":                   {Message: "division by zero (SQLSTATE 22012)", SQLState: "22012"},
		"selec":                        {SQLState: "42601"},
		"select %s":                    {Message: problem.ErrUsage.Error() + ": the SQL has 1 parameters, 0 are given"},
		"select 1; select nothing; --": {SQLState: "42703"},
	} {
		_, err := ask(s, sql)
		var got *problem.Problem
		if !errors.As(err, &got) || want.Message != "" && got.Message != want.Message || got.SQLState != want.SQLState ||
			got.Constraint != want.Constraint || got.Table != want.Table || got.Schema != want.Schema || got.Lost {
			t.Errorf("%s: %+v", sql, got)
		}
	}
	mustBeText(t, s, "1", "1")
}

func eachModeGivesTheSame(t *testing.T, p *private) {
	const sql = `select 1::int2 a, 2::int8 b, 1.5::float4 c, 1.5::float8 d, 'x'::varchar e, true f, null::int g, array[array[1,2],array[3,null]] h,
		array['a"b', null] i, '\xdead'::bytea j, 1.50::numeric(6,2) k, '2024-01-02'::date l, '2024-01-02 03:04:05.6'::timestamp m,
		'2024-01-02 03:04:05.6+02'::timestamptz n, '12:34:56'::time o, '1 year 2 days 3.5 seconds'::interval p, '{"a": 1}'::jsonb q,
		'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid r, '10.0.0.1'::inet s, '(1,2)'::point t, array['2024-01-02'::date] u, %s::text v, 'infinity'::date w`
	want, err := ask(service(t, p, nil), sql, "p")
	if err != nil {
		t.Fatal(err)
	}
	for mode := range pool.Modes {
		s := service(t, p, map[string]any{"default_query_exec_mode": mode, "schema": "pg_catalog"})
		for range 2 { // the second time by what is known from the first
			if got, err := ask(s, sql, "p"); err != nil || got != want {
				t.Errorf("%s: %q, %v; want %q", mode, got, err, want)
			}
		}
		if got, err := ask(s, "select current_schema()::text as v"); err != nil || got != oneText("v", "pg_catalog") {
			t.Errorf("%s: schema %q, %v", mode, got, err)
		}
	}
}

func maxConnBoundsThePool(t *testing.T, p *private) {
	s := New()
	t.Cleanup(s.Close)
	f := pool.Unread()
	s.Count(func(key string) pool.Figures {
		if key != "main" {
			t.Errorf("figures of %q are asked for", key)
		}
		return f
	})
	p.open(s, map[string]any{"max_conn": 2, "conn_timeout": 0.2})
	var open []int64
	for range 2 {
		if _, place, err := s.begin(t.Context(), "main"); err != nil {
			t.Fatal(place, err)
		}
		open = append(open, s.last.Load())
	}
	if _, err := ask(s, "select 1"); err == nil || !strings.Contains(err.Error(), "Timeout waiting for DB connection") {
		t.Errorf("a third connection: %v", err)
	}
	if open, lent, limit, waiting := f.Open.Load(), f.InUse.Load(), f.Limit.Load(), f.Waiting.Load(); open != 2 || lent != 2 || limit != 2 || waiting != 0 {
		t.Errorf("%d connections of %d, %d lent, %d calls wait", open, limit, lent, waiting)
	}
	if waited, micros, late := f.Waited.Load(), f.WaitMicros.Load(), f.TimedOut.Load(); waited != 1 || micros < 200_000 || late != 1 {
		t.Errorf("%d waits of %d µs, %d in vain", waited, micros, late)
	}
	for _, number := range open {
		if _, _, err := s.end(t.Context(), number, false); err != nil {
			t.Error(err)
		}
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 20 {
				if _, err := ask(s, "select 1"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := s.servers["main"].Stat().TotalConns(); n > 2 {
		t.Errorf("%d connections", n)
	}
	if opened, acquired, lent := f.Opened.Load(), f.Acquired.Load(), f.InUse.Load(); opened != 2 || acquired != 402 || lent != 0 {
		t.Errorf("%d connections were opened, one was lent %d times, %d are", opened, acquired, lent)
	}
	s.Close()
	if open, limit := f.Open.Load(), f.Limit.Load(); open != 0 || limit != 0 {
		t.Errorf("%d connections of %d after the end", open, limit)
	}
}

func begin(t *testing.T, s *Service) int64 {
	t.Helper()
	if _, _, err := s.begin(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	return s.last.Load()
}

func transactions(t *testing.T, p *private) {
	s := service(t, p, nil)
	if _, err := ask(s, "create table if not exists moved (a int); truncate moved"); err != nil {
		t.Fatal(err)
	}
	for _, commit := range []bool{true, false} {
		number := begin(t, s)
		if _, err := askIn(s, number, "insert into moved values (%s)", int64(1)); err != nil {
			t.Fatal(err)
		}
		if got, err := ask(s, "select count(*)::text v from moved"); err != nil || commit && got != oneText("v", "0") {
			t.Errorf("seen from outside: %q, %v", got, err)
		}
		if _, _, err := s.end(t.Context(), number, commit); err != nil {
			t.Fatal(err)
		}
		mustBeText(t, s, "1", "select count(*) from moved")
		if _, err := askIn(s, number, "select 1"); err == nil {
			t.Error("a statement after the end was taken")
		}
	}
	number := begin(t, s)
	_, _ = askIn(s, number, "select 1/0")
	if _, _, err := s.end(t.Context(), number, true); err == nil || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("commit after an error: %v", err)
	}
	if idle := s.servers["main"].Stat().AcquiredConns(); idle != 0 {
		t.Errorf("%d connections are still in use", idle)
	}
}

func refusedTypeInTransaction(t *testing.T, p *private) {
	s := service(t, p, nil)
	number := begin(t, s)
	for range 2 {
		if _, err := askIn(s, number, "select %s is null as v", "x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.end(t.Context(), number, true); err != nil {
		t.Error(err)
	}
}

func changedTable(t *testing.T, p *private) {
	for _, mode := range []string{"cache_statement", "cache_describe"} {
		s := service(t, p, map[string]any{"default_query_exec_mode": mode, "max_conn": 1})
		other := service(t, p, nil)
		for _, columns := range []string{"a int", "a text", "a text, b int"} {
			if _, err := ask(other, "drop table if exists changing; create table changing ("+columns+"); insert into changing (a) values ('5')"); err != nil {
				t.Fatal(err)
			}
			if _, err := ask(s, "select * from changing"); err != nil {
				t.Errorf("%s, %s: %v", mode, columns, err)
			}
		}
	}
	s := service(t, p, map[string]any{"max_conn": 1})
	mustBeText(t, s, "5", "%s", int64(5))
	if _, err := ask(s, "do $$ begin execute 'deallocate all'; end $$"); err != nil {
		t.Fatal(err)
	}
	mustBeText(t, s, "5", "%s", int64(5))
}

func statementsAreGivenUp(t *testing.T, p *private) {
	s := service(t, p, map[string]any{"max_conn": 1})
	for i := range call.StatementsKept + 50 {
		mustBeText(t, s, "1", fmt.Sprintf("1 /* %d */", i))
	}
	mustBeText(t, s, fmt.Sprint(call.StatementsKept), "select count(*) from pg_prepared_statements")
}

func closeEndsAllSessions(t *testing.T, p *private) {
	s, other := New(), service(t, p, nil)
	p.open(s, map[string]any{"dsn": "postgresql://?application_name=closing"})
	const open = "select count(*) from pg_stat_activity where application_name = 'closing'"
	begin(t, s)
	mustBeText(t, s, "1", "1")
	if !countIs(t, other, open, "2") {
		t.Error("no sessions were opened")
	}
	s.Close()
	eventually(t, "the sessions are gone", func() bool { return countIs(t, other, open, "0") })
	if _, err := ask(s, "select 1"); err == nil {
		t.Error("a closed connector took a statement")
	}
}

func statementTimeout(t *testing.T, p *private) {
	for _, mode := range []string{"cache_statement", "cache_describe"} {
		s := service(t, p, map[string]any{"statement_timeout": 0.05, "default_query_exec_mode": mode})
		var got *problem.Problem
		if _, err := ask(s, "select pg_sleep(20)"); !errors.As(err, &got) || got.SQLState != "57014" {
			t.Errorf("%s: %v", mode, got)
		}
	}
}

func endedSessionIsReplaced(t *testing.T, p *private) {
	s := service(t, p, map[string]any{"max_conn": 1, "dsn": "postgresql://?application_name=victim"})
	other := service(t, p, nil)
	for range 20 {
		mustBeText(t, s, "1", "1")
		if _, err := ask(other, "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = 'victim'"); err != nil {
			t.Fatal(err)
		}
		mustBeText(t, s, "1", "1")
	}
	number := begin(t, s)
	if _, err := ask(other, "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = 'victim'"); err != nil {
		t.Fatal(err)
	}
	var got *problem.Problem
	if _, err := askIn(s, number, "select 1"); !errors.As(err, &got) || !got.Lost {
		t.Errorf("in a transaction whose session was ended: %+v", got)
	}
	if _, _, err := s.end(t.Context(), number, true); err == nil {
		t.Error("a lost transaction was committed")
	}
	mustBeText(t, s, "1", "1")
}

func noSecretInErrors(t *testing.T, p *private) {
	for _, more := range []map[string]any{
		{"passwd": "wr0ng"}, {"host": "/nowhere/wr0ng-not"}, {"port": 1}, {"dsn": "postgresql://x:s3cret@y/z?sslmode=require"}, {"host": "no.such.host.invalid"},
	} {
		s := service(t, p, more)
		_, err := ask(s, "select 1")
		if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(strings.ReplaceAll(err.Error(), "/nowhere/wr0ng-not", ""), "wr0ng") {
			t.Errorf("%v: %v", more, err)
		}
	}
}

func TestServerRestart(t *testing.T) {
	p := startPrivate(t)
	s := service(t, p, nil)
	mustBeText(t, s, "1", "1")
	p.stop()
	var got *problem.Problem
	if _, err := ask(s, "select 1"); !errors.As(err, &got) || !got.Lost || !strings.Contains(got.Message, "cannot connect") {
		t.Errorf("while the server is away: %+v", got)
	}
	p.start()
	for range 5 {
		mustBeText(t, s, "1", "1")
	}
}

func TestUnknownOperations(t *testing.T) {
	s := New()
	deliver := func([]byte) { t.Error("something was delivered") }
	for _, payload := range []string{"", "N", "(\x00\x00\x00\x00"} {
		if err := s.Call(t.Context(), 99, []byte(payload), deliver); err == nil {
			t.Errorf("%q was taken", payload)
		}
		if err := s.Call(t.Context(), opQuery, []byte(payload), deliver); err == nil {
			t.Errorf("%q was taken as a query", payload)
		}
	}
	var reply string
	payload := marshal.AppendTuple(nil, 1)
	payload = append(payload, "u\x04\x00\x00\x00none"...)
	if err := s.Call(t.Context(), opBegin, payload, func(data []byte) { reply = string(data) }); err != nil || !strings.Contains(reply, "No configuration found for server key: none") {
		t.Errorf("%q, %v", reply, err)
	}
}

func TestSocketDeadlines(t *testing.T) {
	p := startPrivate(t)
	s := service(t, p, nil)
	conn, err := s.servers["main"].Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	plain := conn.PgConn().Conn()
	done := make(chan error, 1)
	go func() {
		_, err := plain.Read(make([]byte, 1))
		done <- err
	}()
	if err := plain.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("a read outlived its deadline")
	}
	if pool.Alive(conn.PgConn()) {
		t.Error("a connection that was shut down counts as alive")
	}
}

func copyIsRefused(t *testing.T, p *private) {
	s := service(t, p, map[string]any{"max_conn": 1})
	for _, sql := range []string{"copy (select 1) to stdout", "copy once from stdin", "select 1; copy once from stdin"} {
		if got, err := ask(s, sql); err == nil {
			t.Errorf("%s: %q", sql, got)
		}
		mustBeText(t, s, "1", "1")
	}
}

func changedSessionServesNobodyElse(t *testing.T, p *private) {
	s := service(t, p, map[string]any{"max_conn": 1})
	if _, err := ask(s, "set application_name to 'mine'"); err != nil {
		t.Fatal(err)
	}
	mustBeText(t, s, "envoxyd", "select setting from pg_settings where name = 'application_name'")
	number := begin(t, s)
	for _, sql := range []string{"set application_name to 'mine'", "set local work_mem to '1MB'", "create temp table passing ()"} {
		if _, err := askIn(s, number, sql); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := askIn(s, number, "show application_name"); err != nil || got != oneText("application_name", "mine") {
		t.Errorf("in the transaction: %q, %v", got, err)
	}
	if _, _, err := s.end(t.Context(), number, true); err != nil {
		t.Fatal(err)
	}
	mustBeText(t, s, "envoxyd", "select setting from pg_settings where name = 'application_name'")
}
