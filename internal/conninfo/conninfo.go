// Package conninfo reads PostgreSQL's connection strings (PostgreSQL documentation, "Connection Strings") as far as it takes to
// split and to show them. Errors never quote the text, which may hold a password.
package conninfo

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Pair is a keyword and its value.
type Pair struct{ Key, Value string }

// Why a text is no connection string.
var (
	ErrPairs = errors.New("neither a URL nor keyword=value pairs")
	ErrQuote = errors.New("a quote is not closed")
	ErrURL   = errors.New("not a postgres:// URL; of a password in it @ : / ? # % and ; are written as %40 %3A %2F %3F %23 %25 and %3B")
)

const blanks = " \t\r\n"

// Keywords reads "host=… port=… dbname=…".
func Keywords(text string) (pairs []Pair, err error) {
	rest := strings.TrimSpace(text)
	for rest != "" {
		key, after, found := strings.Cut(rest, "=")
		key = strings.TrimSpace(key)
		if !found || key == "" || strings.ContainsAny(key, blanks+"'") {
			return nil, ErrPairs
		}
		value, tail, err := value(strings.TrimLeft(after, blanks))
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, Pair{key, value})
		rest = strings.TrimSpace(tail)
	}
	return pairs, nil
}

// value reads one value, in single quotes or up to white space, with backslash escapes.
func value(rest string) (value, tail string, err error) {
	quoted := strings.HasPrefix(rest, "'")
	if quoted {
		rest = rest[1:]
	}
	var out strings.Builder
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\\' && i+1 < len(rest):
			i++
			out.WriteByte(rest[i])
		case quoted && c == '\'':
			return out.String(), rest[i+1:], nil
		case !quoted && strings.IndexByte(blanks, c) >= 0:
			return out.String(), rest[i:], nil
		default:
			out.WriteByte(c)
		}
	}
	if quoted {
		return "", "", ErrQuote
	}
	return out.String(), "", nil
}

// Cut splits a text at the first semicolon outside quotes: a connection string, and what follows it.
func Cut(text string) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '\'':
			quoted = !quoted
		case c == ';' && !quoted:
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

// urlForm is scheme, user, password, hosts and path, parameters. A password that has to be escaped and is not does not match.
const urlForm = `^(postgres(?:ql)?://)(?:([^:@/?#]*)(?::([^:@/?#]*))?@)?([^@?#]*)(?:\?([^@#]*))?$`

// Public is a connection string, of either form, without passwords.
func Public(text string) (string, error) {
	if strings.Contains(text, "://") {
		return publicURL(text)
	}
	pairs, err := Keywords(text)
	if err != nil {
		return "", err
	}
	var shown []string
	for _, p := range pairs {
		if !secret(p.Key) {
			shown = append(shown, p.Key+"="+quote(p.Value))
		}
	}
	return strings.Join(shown, " "), nil
}

func publicURL(text string) (string, error) {
	parts := regexp.MustCompile(urlForm).FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return "", ErrURL
	}
	shown := parts[1]
	if parts[2] != "" {
		shown += parts[2] + "@"
	}
	shown += parts[4]
	separator := "?"
	for pair := range strings.SplitSeq(parts[5], "&") {
		key, _, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(key)
		if err != nil {
			return "", fmt.Errorf("%w: a parameter is not escaped as it should be", ErrURL)
		}
		if pair != "" && !secret(plain) {
			shown += separator + pair
			separator = "&"
		}
	}
	return shown, nil
}

func secret(key string) bool { return strings.Contains(strings.ToLower(key), "password") }

// quote writes a value as Keywords reads it.
func quote(value string) string {
	if value != "" && !strings.ContainsAny(value, blanks+`'\;`) {
		return value
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}
