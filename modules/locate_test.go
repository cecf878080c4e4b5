package modules

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreLookedForInTheWorkingDirectoryAndBesideTheConfiguration(t *testing.T) {
	work, beside := t.TempDir(), t.TempDir()
	for _, name := range []string{filepath.Join(work, "both.py"), filepath.Join(beside, "both.py"), filepath.Join(beside, "far.py"), filepath.Join(beside, "ca.pem")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(beside, "envoxy.json")
	for text, want := range map[string]string{
		`{"modules":["both.py"]`:               `{"modules":["both.py"]`,
		`{"modules":["far.py","both.py"]`:      `{"modules":["` + beside + `/far.py","both.py"]`,
		`{"modules":["` + beside + `/far.py"]`: `{"modules":["` + beside + `/far.py"]`,
		`{"mqtt_servers":{"b":{"bind":"mqtts://h:1","cert_path":"ca.pem","client_cert_path":"none.pem"}}`: `{"mqtt_servers":{"b":{"bind":"mqtts://h:1","cert_path":"` + beside + `/ca.pem","client_cert_path":"none.pem"}}`,
		`{"amqp_servers":{"b":{"cert_path":""}}`:                                                          `{"amqp_servers":{"b":{"cert_path":""}}`,
		`{"modules":null`:                                                                                 `{"modules":null`,
	} {
		if err := os.WriteFile(conf, []byte(text+"}"), 0o600); err != nil {
			t.Fatal(err)
		}
		service, err := Load(conf, nil)
		if err == nil {
			err = service.Locate(work)
		}
		if err != nil || !strings.HasPrefix(string(service.Document), want) {
			t.Errorf("%s: %s, %v", text, service.Document, err)
		}
	}
	for text, want := range map[string]string{
		"{\n\"modules\": [\"both.py\", \"none.py\"]}": ":2:24: modules[1]: no such file: none.py in " + work + " or in " + beside,
		`{"modules": ["/dev/null/none.py"]}`:          ":1:14: modules[0]: no such file: /dev/null/none.py",
	} {
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		service, err := Load(conf, nil)
		if err == nil {
			err = service.Locate(work)
		}
		if err == nil || err.Error() != conf+want || !errors.Is(err, ErrNoModule) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestTheAddressThatHTTPIsServedAt(t *testing.T) {
	for bind, want := range map[string]string{
		"": "", ":8080": ":8080", "h:1": "h:1", "http://127.0.0.1:8080/": "127.0.0.1:8080", "http://[::1]:80": "[::1]:80", "https://h:1": "", "host": "error", "http://host/": "error",
		"h:": "error",
	} {
		service, err := Load(write(t, `{"boot": [{"http": {"bind": "`+bind+`"}}]}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := service.HTTPAddress()
		if err != nil {
			got = "error"
			if !strings.Contains(err.Error(), "boot[0].http.bind: cannot be understood: host:port") {
				t.Error(err)
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", bind, got, want)
		}
	}
}
