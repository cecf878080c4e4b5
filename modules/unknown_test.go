package modules

import (
	"strings"
	"testing"
)

func TestKeysThatAreNearlyRightAreNoted(t *testing.T) {
	for conf, want := range map[string]string{
		`{"modules": ["a"], "debug": true, "sink": {"paths": 1}, "mode": 1}`: "", // the service's own keys
		`{"module": ["a"]}`:                                       `module: this key is not read; did you mean "modules"?`,
		`{"modules": ["a"], "Boot": []}`:                          `Boot: this key is not read; did you mean "boot"?`,
		`{"modules": ["a"], "boot": [{"http": {"binds": ":1"}}]}`: `boot[0].http.binds: this key is not read; did you mean "bind"?`,
		`{"modules": ["a"], "boot": [{"keep-alive": 1}]}`:         `boot[0].keep-alive: this key is not read; did you mean "keep_alive"?`,
		`{"modules": ["a"], "mqtt_server": {}}`:                   `mqtt_server: this key is not read; did you mean "mqtt_servers"?`,
		`{"modules": ["a"], "psql_servers": {"main": {"pasword": "S3CRET", "hots": "h", "port": 1}}}`: `psql_servers.main.hots: this key is not read; did you mean "host"?`,
		`{"modules": ["a"], "psql_servers": {"default": "main", "host": {"db": "x"}}}`:                "", // names of servers
		`{"modules": ["a"], "postgres": {"main": {"dns": "x", "own": 1}}}`:                            "",
	} {
		service, err := Load(write(t, conf), nil)
		if err != nil {
			t.Errorf("%s: %v", conf, err)
			continue
		}
		got := strings.Join(service.Notices, "\n")
		if want == "" && got != "" && !strings.Contains(got, "no view") || !strings.Contains(got, want) || strings.Contains(got, "S3CRET") {
			t.Errorf("%s: %q, want %q", conf, got, want)
		}
	}
}

func TestAConfigurationWithoutViewsIsNoted(t *testing.T) {
	for conf, want := range map[string]bool{
		`{}`: true, `{"modules": []}`: true, `{"modules": null, "packages": []}`: true, `{"packages": ["p"]}`: false, `{"modules": ["a.py"]}`: false,
		`{"default_zmq_backend": {"enabled": true}}`: false, `{"default_zmq_backend": {"enabled": "false"}}`: true,
	} {
		service, err := Load(write(t, conf), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(service.Notices, "\n"), "no view will be loaded"); got != want {
			t.Errorf("%s: %t, %q", conf, got, service.Notices)
		}
	}
}
