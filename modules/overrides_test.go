package modules

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func value(t *testing.T, service *Service, path ...string) any {
	t.Helper()
	document, err := parse(service.Document)
	if err != nil {
		t.Fatal(err)
	}
	found := document.at(path...)
	if found == nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(found.encode(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const overridden = `{"log": {"level": 6}, "mode_text": "1", "flag": false,
 "psql_servers": {"main-db": {"host": "file", "port": "1", "db": "d", "user": "u", "passwd": "filepw", "max_conn": 3}},
 "boot": [{"name": "shopd"}]}`

func TestCommandLineStandsAboveEnvironmentAboveFile(t *testing.T) {
	conf := write(t, overridden)
	environ := []string{"ENVOXY_LOG_LEVEL=4", "ENVOXY_SERVICE_NAMESPACE=x", "PATH=/bin", "ENVOXY_LOG_FORMAT="}
	for _, c := range []struct {
		environ, settings []string
		want              int
	}{{nil, nil, 6}, {environ, nil, 4}, {environ, []string{"conf.log.level=DEBUG"}, 7}, {nil, []string{"logging.level=3"}, 3}} {
		service, err := Load(conf, c.environ, c.settings...)
		if err != nil {
			t.Fatal(err)
		}
		if service.LogLevel != c.want {
			t.Errorf("%v %v: level %d, want %d", c.environ, c.settings, service.LogLevel, c.want)
		}
	}
}

func TestOverridesReachTheirPlaceInTheirType(t *testing.T) {
	conf := write(t, overridden)
	cases := []struct {
		environ, setting string
		path             string
		want             any
	}{
		{"ENVOXY_POSTGRES_MAIN_DB_PASSWD=0123", "", "psql_servers.main-db.passwd", "0123"},
		{"ENVOXY_POSTGRES_MAIN_DB_DSN=postgresql://x:y@env:7/z", "", "psql_servers.main-db.host", "env"},
		{"ENVOXY_POSTGRES_MAIN_DB_DSN=postgresql://x:y@env:7/z", "", "psql_servers.main-db.max_conn", 3.0},
		{"ENVOXY_POSTGRES_OTHER_DSN=postgresql://x:y@env/z", "", "psql_servers.other.port", "5432"},
		{"ENVOXY_MQTT_BROKER_BIND=mqtt://b:1883", "", "mqtt_servers.broker.bind", "mqtt://b:1883"},
		{"ENVOXY_COUCHDB_A_URL=http://c", "", "couchdb_servers.a.bind", "http://c"},
		{"ENVOXY_BOOT_HTTP_BIND=:9", "", "boot.0.http.bind", ":9"},
		{"ENVOXY_BOOT_NAME=other", "", "boot.0.name", "other"},
		{"ENVOXY_CREDENTIALS_CLIENT_SECRET=1", "", "credentials.client_secret", "1"},
		{"ENVOXY_ENABLE_CORS=true", "", "enable_cors", true},
		{"", "conf.mode_text=2", "mode_text", "2"},
		{"", "flag=true", "flag", true},
		{"", "flag", "flag", true},
		{"", "own.list=[1,\"a\"]", "own.list", []any{1.0, "a"}},
		{"", "own.words=not json", "own.words", "not json"},
		{"", "own.0.x=1", "own.0.x", 1.0},
		{"", "postgres.main-db.dsn=host=cli password='a b'", "psql_servers.main-db.passwd", "a b"},
		{"", "mqtt.b.bind=mqtt://c:1", "mqtt_servers.b.bind", "mqtt://c:1"},
	}
	for _, c := range cases {
		var settings []string
		if c.setting != "" {
			settings = []string{c.setting}
		}
		service, err := Load(conf, []string{c.environ}, settings...)
		if err != nil {
			t.Errorf("%s%s: %v", c.environ, c.setting, err)
			continue
		}
		if got := value(t, service, strings.Split(c.path, ".")...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s%s: %v = %#v, want %#v", c.environ, c.setting, c.path, got, c.want)
		}
	}
}

func TestAnOverrideThatCannotBeIsAnErrorThatNamesItsOrigin(t *testing.T) {
	conf := write(t, overridden)
	for _, c := range []struct{ environ, setting, text string }{
		{"ENVOXY_BOOT_KEEP_ALIVE=soon", "", "ENVOXY_BOOT_KEEP_ALIVE: boot[0].keep_alive"},
		{"ENVOXY_MQTT_B_BIND=nowhere", "", "ENVOXY_MQTT_B_BIND: mqtt_servers.b.bind"},
		{"", "conf.boot.7.name=x", "conf.boot.7.name: boot[7]"},
		{"", "flag.x=1", "conf.flag.x"},
		{"", "conf.a..b=1", "conf.a..b"},
		{"", "modules=5", "conf.modules: modules: wrong type"},
		{"", "log=1", "conf.log: log: wrong type"},
		{"", "=1", "a name is missing"},
	} {
		_, err := Load(conf, []string{c.environ}, c.setting)
		if c.setting == "" {
			_, err = Load(conf, []string{c.environ})
		}
		var known *Error
		if !errors.As(err, &known) || !strings.Contains(err.Error(), c.text) || known.Line != 0 {
			t.Errorf("%s%s: %v, want %q", c.environ, c.setting, err, c.text)
		}
	}
}
