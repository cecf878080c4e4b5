package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestTheConfigurationOfAServiceIsPrinted(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("envoxy.json", `{"postgres": {"main": {"dsn": "postgresql://u:p@h/d"}}, "log": {"level": 6}}`)
	write("other.json", `{"modules": ["none.py"]}`)
	t.Setenv("ENVOXY_REDIS_CELERY_BIND", "127.0.0.1:1")
	for _, c := range []struct {
		words  []string
		status int
		want   []string // parts of the output, or of the errors
	}{
		{nil, 0, []string{`"psql_servers":`, `"passwd":"p"`, `"redis_servers":{"celery":{"bind":"127.0.0.1:1"}}`, `"level":6`}},
		{[]string{"envoxy.json", "log.level=7"}, 0, []string{`"level":7`}},
		{[]string{"gone.json"}, 246, []string{"gone.json"}},
		{[]string{"other.json"}, 246, []string{"modules[0]: no such file: none.py"}},
	} {
		var out, problems bytes.Buffer
		status := printService(&out, &problems, c.words)
		text := out.String()
		if c.status != 0 {
			text = problems.String()
		}
		for _, part := range c.want {
			if status != c.status || !strings.Contains(text, part) {
				t.Errorf("%v: status %d, %q has no %q", c.words, status, text, part)
			}
		}
		if c.status != 0 && out.Len() != 0 {
			t.Errorf("%v: %q", c.words, out.String())
		}
	}
}
