package modules

import (
	"errors"
	"strings"
	"testing"
)

func TestBothFormsOfAConnectionStringAreRead(t *testing.T) {
	cases := []struct{ given, fields, url string }{
		{"postgresql://u:p%2Fw@h:7/d?sslmode=require", "host=h port=7 db=d user=u passwd=p/w", "postgresql://u:p%2Fw@h:7/d?sslmode=require"},
		{"postgres://h/d", "host=h port=5432 db=d", "postgresql://h/d"},
		{"postgresql+psycopg2://u@h/d", "host=h port=5432 db=d user=u", "postgresql+psycopg2://u@h/d"},
		{"postgresql:///d?host=/run/pg&user=u", "host=/run/pg port=5432 db=d user=u", "postgresql:///d?host=/run/pg&user=u"},
		{`host=h  port = 8 dbname=d user=u password='it\'s a'`, "host=h port=8 db=d user=u passwd=it's a", "postgresql://u:it%27s%20a@h:8/d"},
		{`host=/run/pg dbname=d options='-c x=1'`, "host=/run/pg port=5432 db=d", "postgresql:///d?host=%2Frun%2Fpg&options=-c%20x%3D1"},
		{"host=::1 dbname=d port=9", "host=::1 port=9 db=d", "postgresql://[::1]:9/d"},
	}
	for _, c := range cases {
		d, err := parseDSN(c.given)
		if err != nil {
			t.Errorf("%s: %v", c.given, err)
			continue
		}
		var fields []string
		for _, f := range d.fields() {
			fields = append(fields, f.key+"="+f.value)
		}
		if got := strings.Join(fields, " "); got != c.fields {
			t.Errorf("%s: fields %q, want %q", c.given, got, c.fields)
		}
		if got := d.asURL(c.given); got != c.url {
			t.Errorf("%s: url %q, want %q", c.given, got, c.url)
		}
	}
}

func TestAConnectionStringThatIsNoneIsRefused(t *testing.T) {
	for _, given := range []string{"word", "mysql://h/d", "host='open", "a b=c", "postgresql://h:port/d", "=x"} {
		if _, err := parseDSN(given); !errors.Is(err, ErrValue) {
			t.Errorf("%q: %v", given, err)
		}
	}
}
