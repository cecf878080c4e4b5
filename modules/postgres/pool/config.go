package pool

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"envoxyd/modules/postgres/problem"
)

// Config is what one section of psql_servers says.
type Config struct {
	Pool      *pgxpool.Config
	Mode      pgx.QueryExecMode
	Wait      time.Duration // for a connection of the pool
	Statement time.Duration // of each statement; 0: without limit
	Schema    string
	Place     string // for errors: key, host, port
}

const (
	defaultMaxConn = 20
	defaultTimeout = 5 * time.Second
)

// Modes are pgx's names of its ways to execute.
var Modes = map[string]pgx.QueryExecMode{
	"cache_statement": pgx.QueryExecModeCacheStatement,
	"cache_describe":  pgx.QueryExecModeCacheDescribe,
	"describe_exec":   pgx.QueryExecModeDescribeExec,
	"exec":            pgx.QueryExecModeExec,
	"simple_protocol": pgx.QueryExecModeSimpleProtocol,
}

// section is psql_servers.<key>: numbers may be text, null is absent.
type section map[string]any

func (s section) text(key string) string {
	switch value := s[key].(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	}
	return ""
}

func (s section) number(key string, otherwise float64) (float64, error) {
	text := strings.TrimSpace(s.text(key))
	if text == "" {
		return otherwise, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || value < 0 {
		return 0, fmt.Errorf("%w: %s is not a number", problem.ErrConfiguration, key)
	}
	return value, nil
}

func (s section) seconds(key string, otherwise time.Duration) (time.Duration, error) {
	value, err := s.number(key, otherwise.Seconds())
	return time.Duration(value * float64(time.Second)), err
}

func readSection(key string, document []byte) (section, error) {
	s := section{}
	decoder := json.NewDecoder(strings.NewReader(string(document)))
	decoder.UseNumber()
	if err := decoder.Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: psql_servers.%s is not an object", problem.ErrConfiguration, key)
	}
	return s, nil
}

// ConnConfig is how a single connection to psql_servers.<key>, given as JSON, is made: to
// the same place and with the same login as those of the pool. Errors never quote values.
func ConnConfig(key string, document []byte) (*pgx.ConnConfig, error) {
	s, err := readSection(key, document)
	if err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(s.connString())
	if err != nil { // its text quotes the connection string
		return nil, fmt.Errorf("psql_servers.%s: %w", key, errParameters)
	}
	return config, nil
}

var errParameters = fmt.Errorf("%w: the connection parameters (host, port, dsn and its options) cannot be used", problem.ErrConfiguration)

// ReadConfig reads psql_servers.<key>, given as JSON. Errors never quote values.
func ReadConfig(key string, document []byte) (*Config, error) {
	s, err := readSection(key, document)
	if err != nil {
		return nil, err
	}
	made, err := s.config(key)
	if err != nil {
		return nil, fmt.Errorf("psql_servers.%s: %w", key, err)
	}
	return made, nil
}

func (s section) config(key string) (*Config, error) {
	pool, err := pgxpool.ParseConfig(s.connString())
	if err != nil { // its text quotes the connection string
		return nil, errParameters
	}
	made := &Config{Pool: pool, Mode: pool.ConnConfig.DefaultQueryExecMode, Schema: s.text("schema")}
	if name := s.text("default_query_exec_mode"); name != "" {
		mode, known := Modes[name]
		if !known {
			return nil, fmt.Errorf("%w: default_query_exec_mode: unknown mode", problem.ErrConfiguration)
		}
		made.Mode = mode
	}
	connect, err := s.seconds("timeout", defaultTimeout)
	if err != nil {
		return nil, err
	}
	pool.ConnConfig.ConnectTimeout = connect
	if made.Wait, err = s.seconds("conn_timeout", defaultTimeout); err != nil {
		return nil, err
	}
	if made.Statement, err = s.seconds("statement_timeout", 0); err != nil {
		return nil, err
	}
	most, err := s.number("max_conn", defaultMaxConn)
	if err != nil || most < 1 || most > 1<<16 {
		return nil, fmt.Errorf("%w: max_conn must be at least 1", problem.ErrConfiguration)
	}
	pool.MaxConns, pool.MinConns = int32(most), 0
	pool.ShouldPing = func(_ context.Context, _ pgxpool.ShouldPingParams) bool { return false } // Alive checks the socket instead
	pool.PrepareConn = func(_ context.Context, conn *pgx.Conn) (bool, error) { return Alive(conn.PgConn()), nil }
	pool.ConnConfig.DialFunc = dial
	pool.ConnConfig.BuildContextWatcherHandler = cancelOnServer
	if !made.Pooled() {
		pool.AfterConnect = noticeOurEnd
	}
	made.sessionParameters()
	config := pool.ConnConfig
	made.Place = fmt.Sprintf("PostgreSQL server %q (%s:%d)", key, config.Host, config.Port)
	return made, nil
}

// Pooled says that sessions are not ours alone: a pooler such as pgbouncer is in between.
func (c *Config) Pooled() bool { return c.Mode != pgx.QueryExecModeCacheStatement }

// sessionParameters has each connection begin with what the section wants. A pooler
// would refuse such parameters, or apply them to another client's session.
func (c *Config) sessionParameters() {
	parameters := c.Pool.ConnConfig.RuntimeParams
	parameters["client_encoding"] = "UTF8"
	if parameters["application_name"] == "" {
		parameters["application_name"] = "envoxyd" // in pg_stat_activity and the server's log
	}
	if c.Pooled() {
		return
	}
	if c.Schema != "" {
		parameters["search_path"] = identifier(c.Schema)
	}
	if c.Statement > 0 {
		parameters["statement_timeout"] = strconv.FormatInt(c.Statement.Milliseconds(), 10)
	}
}

// Prologue is what a transaction begins with where a pooler is in between.
func (c *Config) Prologue() string {
	if !c.Pooled() {
		return ""
	}
	text := ""
	if c.Schema != "" {
		text += "; set local search_path to " + identifier(c.Schema)
	}
	if c.Statement > 0 {
		text += fmt.Sprintf("; set local statement_timeout to %d", c.Statement.Milliseconds())
	}
	return text
}

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// fields are the names that envoxy has for libpq's keywords. They stand above the dsn,
// from which modules.Load fills in those that are not given.
var fields = []struct{ key, keyword string }{
	{"host", "host"}, {"port", "port"}, {"db", "dbname"}, {"user", "user"}, {"passwd", "password"},
}

// connString is the section as one connection string of the dsn's form.
func (s section) connString() string {
	given := s.text("dsn")
	if given == "" {
		given = s.text("url")
	}
	if given == "" {
		given = "postgresql://"
	}
	if !strings.Contains(given, "://") {
		text := given
		for _, f := range fields {
			if value := s.text(f.key); value != "" {
				value = strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), `'`, `\'`)
				text += " " + f.keyword + "='" + value + "'"
			}
		}
		return text
	}
	scheme, rest, _ := strings.Cut(given, "://")
	scheme, _, _ = strings.Cut(scheme, "+") // postgresql+psycopg2 is SQLAlchemy's way
	text, separator := scheme+"://"+rest, "?"
	if strings.Contains(rest[strings.LastIndexByte(rest, '@')+1:], "?") {
		separator = "&"
	}
	for _, f := range fields { // of two values of a parameter the latter counts
		if value := s.text(f.key); value != "" {
			text += separator + f.keyword + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
			separator = "&"
		}
	}
	return text
}
