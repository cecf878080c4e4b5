package pool

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"envoxyd/modules/postgres/problem"
)

func TestSettings(t *testing.T) {
	t.Setenv("PGPASSFILE", "/nowhere")
	s, err := ReadConfig("main", []byte(`{"host": "db", "port": "6543", "db": "shop", "user": "u", "passwd": "p w'\\%", "max_conn": "3",
		"timeout": 1.5, "conn_timeout": "2", "schema": "my\"shop", "statement_timeout": 30, "unknown": null}`))
	if err != nil {
		t.Fatal(err)
	}
	c := s.Pool.ConnConfig
	if c.Host != "db" || c.Port != 6543 || c.Database != "shop" || c.User != "u" || c.Password != `p w'\%` {
		t.Errorf("%s:%d %s %s %q", c.Host, c.Port, c.Database, c.User, c.Password)
	}
	if s.Pool.MaxConns != 3 || c.ConnectTimeout != 1500*time.Millisecond || s.Wait != 2*time.Second || s.Mode != pgx.QueryExecModeCacheStatement {
		t.Errorf("max_conn %d, timeout %v, conn_timeout %v, mode %v", s.Pool.MaxConns, c.ConnectTimeout, s.Wait, s.Mode)
	}
	if c.RuntimeParams["search_path"] != `"my""shop"` || c.RuntimeParams["statement_timeout"] != "30000" || s.Prologue() != "" {
		t.Errorf("%v, %q", c.RuntimeParams, s.Prologue())
	}
	if strings.Contains(s.Place, "p w") || !strings.Contains(s.Place, "db:6543") {
		t.Errorf("place: %s", s.Place)
	}
}

func TestDefaults(t *testing.T) {
	s, err := ReadConfig("main", []byte(`{"host": "db", "max_conn": null}`))
	if err != nil || s.Pool.MaxConns != 20 || s.Wait != 5*time.Second || s.Pool.ConnConfig.ConnectTimeout != 5*time.Second || s.Statement != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestBehindAPooler(t *testing.T) {
	s, err := ReadConfig("main", []byte(`{"host": "db", "schema": "a b", "statement_timeout": 1, "default_query_exec_mode": "cache_describe"}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Pool.ConnConfig.RuntimeParams) != 2 || s.Prologue() != `; set local search_path to "a b"; set local statement_timeout to 1000` {
		t.Errorf("%v, %q", s.Pool.ConnConfig.RuntimeParams, s.Prologue())
	}
}

func TestDSN(t *testing.T) {
	for _, c := range []struct {
		section, host, user, password, database string
		tls                                     bool
	}{
		{`{"dsn": "postgresql://a:p%40%2B@h1:1/d?sslmode=require"}`, "h1", "a", "p@+", "d", true},
		{`{"dsn": "postgresql://a:b@h1/d?sslmode=disable", "host": "h2", "passwd": "x y+z"}`, "h2", "a", "x y+z", "d", false},
		{`{"url": "postgresql+psycopg2://a:b@h1/d?sslmode=disable"}`, "h1", "a", "b", "d", false},
		{`{"dsn": "host=h1 user=a password='b c' dbname=d sslmode=disable", "db": "e'"}`, "h1", "a", "b c", "e'", false},
		{`{"dsn": "postgresql://a@h1/d?sslmode=disable", "host": "/run/pg"}`, "/run/pg", "a", "", "d", false},
	} {
		t.Setenv("PGPASSFILE", "/nowhere")
		s, err := ReadConfig("main", []byte(c.section))
		if err != nil {
			t.Errorf("%s: %v", c.section, err)
			continue
		}
		got := s.Pool.ConnConfig
		if got.Host != c.host || got.User != c.user || got.Password != c.password || got.Database != c.database || (got.TLSConfig != nil) != c.tls {
			t.Errorf("%s: %s %s %q %s, TLS %v", c.section, got.Host, got.User, got.Password, got.Database, got.TLSConfig != nil)
		}
	}
}

func TestSettingsRefused(t *testing.T) {
	for _, section := range []string{
		`[]`, `{"max_conn": 0}`, `{"max_conn": "many"}`, `{"timeout": -1}`, `{"conn_timeout": "s3cret"}`, `{"default_query_exec_mode": "s3cret"}`,
		`{"port": "s3cret", "host": "h"}`, `{"dsn": "postgresql://u:s3cret@h:port/d"}`, `{"dsn": "s3cret"}`, `{"dsn": "mysql://u:s3cret@h/d"}`,
	} {
		s, err := ReadConfig("main", []byte(section))
		if !errors.Is(err, problem.ErrConfiguration) {
			t.Errorf("%s: %+v, %v", section, s, err)
		} else if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "main") {
			t.Errorf("%s: %v", section, err)
		}
	}
}
