package modules

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "envoxy.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadNormalisesBothSpellingsAsInTheGoldenFiles(t *testing.T) {
	for _, name := range []string{"upstream", "documented"} {
		service, err := Load(filepath.Join("testdata", name+".json"), nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(service.Document); got != strings.TrimSpace(string(want)) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestLoadTellsTheMasterWhatItNeeds(t *testing.T) {
	service, err := Load("testdata/upstream.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	if service.BootName != "shopd" || service.KeepAlive != 5*time.Second || service.HTTPBind != ":8080" || service.LogLevel != 6 {
		t.Errorf("%+v", service)
	}
	if got := service.HealthURL(); got != "http://127.0.0.1:8080/_health" {
		t.Error(got)
	}
}

func TestHealthURLOfEachWayToWriteABind(t *testing.T) {
	for bind, want := range map[string]string{
		"": "", ":80": "http://127.0.0.1:80/_health", "h:81": "http://h:81/_health", "0.0.0.0:8": "http://127.0.0.1:8/_health",
		"http://h:8080": "http://h:8080/_health", "https://h/": "https://h/_health", "host": "http://host/_health",
	} {
		if got := (&Service{HTTPBind: bind}).HealthURL(); got != want {
			t.Errorf("%q: %q, want %q", bind, got, want)
		}
	}
}

func TestLogLevelByNumberNameAndDefault(t *testing.T) {
	cases := []struct {
		conf    string
		level   int
		notices int
	}{
		{`{}`, 6, 0}, {`{"log":{"level":0}}`, 0, 0}, {`{"log":{"level":"8"}}`, 8, 0}, {`{"log":{"level":"warning"}}`, 4, 0},
		{`{"logging":{"level":"ERROR"}}`, 3, 0}, {`{"$log":{"level":2}}`, 2, 0}, {`{"log":{"level":42}}`, 9, 0},
		{`{"logging":{"level":"DEBUG"},"$log":{"level":2},"log":{"level":5}}`, 5, 0},
		{`{"logging":{"level":"DEBUG"},"log":{"format":"json"}}`, 7, 0},
		{`{"log":{"level":"loud"}}`, 6, 1}, {`{"log":{"level":[1]}}`, 6, 1}, {`{"logging":"own.ini"}`, 6, 0},
	}
	for _, c := range cases {
		service, err := Load(write(t, c.conf), nil)
		if err != nil {
			t.Errorf("%s: %v", c.conf, err)
			continue
		}
		service.Notices = slices.DeleteFunc(service.Notices, func(notice string) bool { return !strings.Contains(notice, "log.level") })
		if service.LogLevel != c.level || len(service.Notices) != c.notices {
			t.Errorf("%s: level %d, notices %q", c.conf, service.LogLevel, service.Notices)
		}
	}
}

func TestErrorsNameFileLineColumnAndKey(t *testing.T) {
	cases := []struct {
		conf string
		is   error
		text string
	}{
		{"{broken", ErrNotJSON, "envoxy.json:1:2: is not JSON"},
		{"{\n \"a\": 1,\n}", ErrNotJSON, "envoxy.json:3:1: is not JSON"},
		{"", ErrNotJSON, "is not JSON"},
		{"[1]", ErrType, "envoxy.json:1:1: wrong type: a list where an object is wanted"},
		{"{\n  \"modules\": \"x.py\"}", ErrType, "envoxy.json:2:14: modules: wrong type: text where a list is wanted"},
		{"{\"modules\": [\"a\",\n 5]}", ErrType, "envoxy.json:2:2: modules[1]: wrong type: a number where text is wanted"},
		{`{"boot": {"name": "x"}}`, ErrType, "boot: wrong type"},
		{`{"boot": [{"keep_alive": "soon"}]}`, ErrValue, "boot[0].keep_alive: cannot be understood"},
		{`{"mqtt_servers": {"b": {"bind": "mqtt://host"}}}`, ErrValue, "mqtt_servers.b.bind"},
		{`{"mqtt": {"b": {"bind": 5}}}`, ErrType, "mqtt.b.bind: wrong type: a number where text is wanted"},
		{`{"postgres": {"m": {"dsn": "mysql://u:S3CRET@h/d"}}}`, ErrValue, "psql_servers.m.dsn"},
		{`{"postgres": {"m": {"dsn": "S3CRET"}}}`, ErrValue, "keyword=value"},
		{`{"modules": ["a"], "packages": ["b"]}`, ErrModulesAndPackages, "modules and packages"},
	}
	for _, c := range cases {
		_, err := Load(write(t, c.conf), nil)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: %v, want %q", c.conf, err, c.text)
			continue
		}
		if strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%q: the error shows a secret: %v", c.conf, err)
		}
		if ExitStatus(err) != 246 {
			t.Errorf("%q: status %d", c.conf, ExitStatus(err))
		}
	}
}

func TestAMissingFileAndADirectoryAreErrorsWithTheirName(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "absent.json"), nil)
	if !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), "absent.json") != 1 {
		t.Error(err)
	}
	if _, err = Load(dir, nil); !errors.Is(err, ErrDirectory) || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if ExitStatus(nil) != 0 {
		t.Error("no error has status 0")
	}
}

func TestEmptyListsAndNullsAreAsGoodAsAbsent(t *testing.T) {
	for _, conf := range []string{
		`{"modules": [], "packages": ["b"]}`, `{"modules": null, "packages": ["b"]}`, `{"credentials": null, "boot": null, "plugins": null}`,
		"\ufeff{\"modules\": [\"a\"]}", `{"psql_servers": {"default": "main", "main": {}}}`,
	} {
		if _, err := Load(write(t, conf), nil); err != nil {
			t.Errorf("%s: %v", conf, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range []string{"upstream", "documented"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "log.level=7")
	}
	f.Add([]byte(`{"boot":[],"postgres":{"a":{"dsn":"host='a b' password=\\'"}}}`), "boot.0.http.bind=:1")
	path := filepath.Join(f.TempDir(), "envoxy.json")
	f.Fuzz(func(t *testing.T, data []byte, setting string) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		service, err := Load(path, nil, setting)
		var known *Error
		if err != nil {
			if !errors.As(err, &known) {
				t.Fatalf("not an *Error: %v", err)
			}
			return
		}
		if !json.Valid(service.Document) || !json.Valid(Redact(service.Document)) {
			t.Fatalf("not JSON: %s", service.Document)
		}
		if err := os.WriteFile(path, service.Document, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := Load(path, nil)
		if err != nil {
			t.Fatalf("its own output is refused: %v\n%s", err, service.Document)
		}
		if string(again.Document) != string(service.Document) {
			t.Fatalf("normalising twice differs:\n%s\n%s", service.Document, again.Document)
		}
	})
}
