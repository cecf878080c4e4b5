package modules

import (
	"strings"
	"testing"
)

func TestRedactHidesSecretsAndNothingElse(t *testing.T) {
	cases := []struct{ in, want string }{
		{`{"psql_servers":{"m":{"user":"u","passwd":"S3CRET"}}}`, `{"psql_servers":{"m":{"user":"u","passwd":"***"}}}`},
		{`{"credentials":{"client_id":"a","client_secret":"S3CRET"}}`, `{"credentials":{"client_id":"a","client_secret":"***"}}`},
		{`{"dsn":"postgresql://u:S3CRET@h/d"}`, `{"dsn":"postgresql://u:***@h/d"}`},
		{`{"bind":"mqtt://u:S3/CR@ET@h:1"}`, `{"bind":"mqtt://u:***@h:1"}`},
		{`{"dsn":"host=h password='S3 CRET' user=u"}`, `{"dsn":"host=h password=*** user=u"}`},
		{`{"token":12345,"tokens":["S3CRET",{"a":"S3CRET"}]}`, `{"token":"***","tokens":["***",{"a":"***"}]}`},
		{`{"url":"http://h:80/x","passwd":"","n":1}`, `{"url":"http://h:80/x","passwd":"","n":1}`},
		{`{"zmq":{"curve":{"secret_key":"S3CRET","clients":["k"]}},"users":["u"]}`, `{"zmq":{"curve":{"secret_key":"***","clients":["k"]}},"users":["u"]}`},
		{`{"zmq":{"plain":{"users":{"u":"S3CRET"}},"curve":{"secret_key_path":"p"}}}`, `{"zmq":{"plain":{"users":{"u":"***"}},"curve":{"secret_key_path":"p"}}}`},
		{`S3CRET`, `"***"`},
	}
	for _, c := range cases {
		got := string(Redact([]byte(c.in)))
		if got != c.want || strings.Contains(got, "CRET") {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
}
