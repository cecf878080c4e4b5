package uwsgiopts

import (
	"errors"
	"fmt"
	"strings"

	"envoxyd/internal/conninfo"
)

// PostgresSource is an emperor's place pg://CONNECTION;QUERY: a configuration for each row of the query.
type PostgresSource struct{ Connection, Query string }

const (
	postgresScheme = "pg://"
	postgresForm   = `pg://CONNECTION;QUERY, such as "pg://host=127.0.0.1 user=emperor dbname=emperor;SELECT name,config,ts FROM vassals"`
)

// PlaceVariable begins the names of variables by which a place gets to an emperor beside workers: its command line is anybody's to see.
const PlaceVariable = "ENVOXYD_EMPEROR_"

// ReadPostgresSource reads such a place; ok: it begins as one. Errors quote nothing of it, as it may hold a password.
func ReadPostgresSource(place string) (s PostgresSource, ok bool, err error) {
	rest, ok := strings.CutPrefix(place, postgresScheme)
	if !ok {
		return s, false, nil
	}
	connection, query, found := conninfo.Cut(rest)
	s = PostgresSource{strings.TrimSpace(connection), strings.TrimRight(strings.TrimSpace(query), "; \t\r\n")}
	_, err = conninfo.Public(s.Connection)
	switch {
	case err != nil && !found:
		err = errors.New("there is no semicolon before the query, or a quote is not closed")
	case err != nil:
		err = fmt.Errorf("the connection: %w", err)
	case !found || s.Query == "":
		err = errors.New("there is no query")
	}
	if err != nil {
		return s, true, fmt.Errorf("%w; the form is %s", err, postgresForm)
	}
	return s, true, nil
}

// String is the place as logs and statistics show it: without passwords.
func (s PostgresSource) String() string { return s.Server() + ";" + s.Query }

// Server is the place without the query.
func (s PostgresSource) Server() string {
	shown, err := conninfo.Public(s.Connection)
	if err != nil {
		shown = "***"
	}
	return postgresScheme + shown
}

// PublicPlace is an emperor's place, or a word that ends with one, without passwords.
func PublicPlace(text string) string {
	i := strings.Index(text, postgresScheme)
	if i < 0 {
		return text
	}
	s, _, err := ReadPostgresSource(text[i:])
	if err != nil {
		return text[:i] + postgresScheme + "***"
	}
	return text[:i] + s.String()
}
