package modules

import (
	"fmt"
	"net/url"
	"regexp"
	"sort"
	"strings"

	"envoxyd/internal/conninfo"
)

// dsn is a PostgreSQL connection string, of either of libpq's two forms
// (PostgreSQL documentation, "Connection Strings").
type dsn struct {
	host, port, database, user, password string
	options                              map[string]string
}

// parseDSN reads "postgresql://user:password@host:port/db?option=x" or
// "host=… port=… dbname=…". Errors never quote the text, which holds a password.
func parseDSN(given string) (dsn, error) {
	if strings.Contains(given, "://") {
		return parseURL(given)
	}
	return parseKeywords(given)
}

func parseURL(given string) (dsn, error) {
	parsed, err := url.Parse(given)
	if err != nil {
		return dsn{}, fmt.Errorf("%w: not a URL", ErrValue) // url.Error quotes the whole URL
	}
	scheme, _, _ := strings.Cut(parsed.Scheme, "+") // postgresql+psycopg2 is SQLAlchemy's way
	if scheme != "postgresql" && scheme != "postgres" {
		return dsn{}, fmt.Errorf("%w: scheme %q where postgresql is wanted", ErrValue, parsed.Scheme)
	}
	d := dsn{host: parsed.Hostname(), port: parsed.Port(), database: strings.TrimPrefix(parsed.Path, "/"), options: map[string]string{}}
	if parsed.User != nil {
		d.user = parsed.User.Username()
		d.password, _ = parsed.User.Password()
	}
	for key, values := range parsed.Query() {
		d.keyword(key, values[len(values)-1])
	}
	return d, nil
}

func parseKeywords(given string) (dsn, error) {
	d := dsn{options: map[string]string{}}
	pairs, err := conninfo.Keywords(given)
	if err != nil {
		return dsn{}, fmt.Errorf("%w: %w", ErrValue, err)
	}
	for _, p := range pairs {
		d.keyword(p.Key, p.Value)
	}
	return d, nil
}

func (d *dsn) keyword(key, value string) {
	switch key {
	case "host", "hostaddr":
		d.host = value
	case "port":
		d.port = value
	case "dbname":
		d.database = value
	case "user":
		d.user = value
	case "password":
		d.password = value
	default:
		d.options[key] = value
	}
}

// fields are the values under the names that envoxy's connection pool reads.
func (d dsn) fields() []struct{ key, value string } {
	all := []struct{ key, value string }{
		{"host", d.host}, {"port", d.port}, {"db", d.database}, {"user", d.user}, {"passwd", d.password},
	}
	given := all[:0]
	for _, f := range all {
		if f.value == "" && f.key == "port" {
			f.value = "5432"
		}
		if f.value != "" {
			given = append(given, f)
		}
	}
	return given
}

var urlHost = regexp.MustCompile(`^([\w.-]*|\[[0-9a-fA-F:.]+\])$`)

// asURL is the connection string as a URL that SQLAlchemy takes: a URL stays as it was given.
func (d dsn) asURL(given string) string {
	if rest, ok := strings.CutPrefix(given, "postgres://"); ok {
		return "postgresql://" + rest // SQLAlchemy 1.4 dropped the short name
	}
	if strings.Contains(given, "://") {
		return given
	}
	u := url.URL{Scheme: "postgresql", Host: d.host, Path: "/" + d.database}
	query := url.Values{}
	for key, value := range d.options {
		query.Set(key, value)
	}
	if strings.Contains(d.host, ":") {
		u.Host = "[" + d.host + "]"
	}
	if !urlHost.MatchString(u.Host) { // a unix socket's directory, for one, cannot stand in a URL's host part
		u.Host = ""
		query.Set("host", d.host)
	}
	if d.port != "" && u.Host != "" {
		u.Host += ":" + d.port
	} else if d.port != "" {
		query.Set("port", d.port)
	}
	switch {
	case d.password != "":
		u.User = url.UserPassword(d.user, d.password)
	case d.user != "":
		u.User = url.User(d.user)
	}
	u.RawQuery = encodeSorted(query)
	return u.String()
}

// encodeSorted is url.Values.Encode with %20 for a blank: libpq does not read "+" as one.
func encodeSorted(query url.Values) string {
	keys := make([]string, 0, len(query))
	for key := range query {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	pairs := make([]string, 0, len(keys))
	for _, key := range keys {
		pairs = append(pairs, url.PathEscape(key)+"="+strings.ReplaceAll(url.QueryEscape(query.Get(key)), "+", "%20"))
	}
	return strings.Join(pairs, "&")
}
