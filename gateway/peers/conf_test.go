package peers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"envoxyd/protocol/m2m"
	"envoxyd/transports/zmq"
)

const someKey = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

func TestHowAServerIsAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(someKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tcp := m2m.Endpoint{Host: "h", Port: "5"}
	for text, want := range map[string]zmq.ClientConfig{
		`{"host": "h", "port": "5"}`: {Endpoint: tcp},
		`{"port": 5}`:                {Endpoint: m2m.Endpoint{Host: "127.0.0.1", Port: "5"}},
		`{"bind": "ipc:///run/s", "host": "h", "port": 5}`:                                                                      {Endpoint: m2m.Endpoint{Path: "/run/s"}},
		`{"bind": "tcp://h:5", "plain": {"user": "u", "passwd": 12}}`:                                                           {Endpoint: tcp, Plain: &zmq.ClientPlain{User: "u", Password: "12"}},
		`{"bind": "h:5", "curve": {"server_key": "s", "secret_key_path": "` + path + `"}}`:                                      {Endpoint: tcp, Curve: &zmq.ClientCurve{ServerKey: "s", SecretKey: someKey}},
		`{"bind": "h:5", "heartbeat": "2.5", "heartbeat_timeout": 1, "reconnect": 0.5, "reconnect_max": "10", "other": "text"}`: {Endpoint: tcp, Heartbeat: zmq.Heartbeat{Interval: 2500 * time.Millisecond, Timeout: time.Second}, Reconnect: 500 * time.Millisecond, ReconnectMax: 10 * time.Second},
	} {
		got, err := readPeer(json.RawMessage(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{`{}`, `{"bind": ":5"}`, `{"host": "h"}`, `{"bind": "udp://h:5"}`, `{"bind": "h:5", "curve": {"secret_key_path": "/nowhere"}}`, `[]`} {
		if got, err := readPeer(json.RawMessage(text)); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestHowAnAddressIsBound(t *testing.T) {
	c, err := readConf(json.RawMessage(`{"log": {"level": 3}, "boot": [{"zmq": {"bind": ["a:1", "b:2"], "hwm": "10", "curve": {"secret_key": "k", "clients": ["c"]}}},
		{"zmq": {"bind": ":3", "plain": {"users": {"u": 5}}}}, {"name": "no zmq"}]}`))
	if err != nil || c.level() != 3 || len(c.Boot) != 3 || len(c.Boot[0].ZMQ.Bind) != 2 || len(c.Boot[1].ZMQ.Bind) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	curve, err := c.Boot[0].ZMQ.server("a:1")
	if err != nil || curve.HWM != 10 || !reflect.DeepEqual(curve.Curve, &zmq.ServerCurve{SecretKey: "k", Clients: []string{"c"}}) || curve.Users != nil {
		t.Errorf("%+v, %v", curve, err)
	}
	plain, err := c.Boot[1].ZMQ.server(":3")
	if err != nil || plain.Users["u"] != "5" || plain.Curve != nil {
		t.Errorf("%+v, %v", plain, err)
	}
	if _, err := readConf(json.RawMessage(`{"boot": 5, "log": {}}`)); err == nil || !strings.Contains(err.Error(), "envoxy.json: boot") {
		t.Error(err)
	}
}

func TestAnAddressIsBoundAgainWhenItsSettingsChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	settings := func(text string) string {
		var b bootConf
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			t.Fatal(err)
		}
		return string(b.settings())
	}
	inFile := `{"bind": ":1", "curve": {"secret_key_path": "` + path + `"}}`
	before := settings(inFile)
	if err := os.WriteFile(path, []byte(someKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if settings(inFile) == before {
		t.Error("another key in the file is not seen")
	}
	if settings(`{"bind": ":1", "hwm": 5}`) != settings(`{"bind": [":2", ":3"], "hwm": "5"}`) {
		t.Error("the addresses count")
	}
	if settings(`{"plain": {"users": {"u": "a"}}}`) == settings(`{"plain": {"users": {"u": "b"}}}`) {
		t.Error("another password is not seen")
	}
}

func TestWholeResponses(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for text, want := range map[string]bool{
		"": false, ok: false, ok + "Content-Length: 2\r\n\r\n": false, ok + "Content-Length: 2\r\n\r\nh": false,
		ok + "Content-Length: 2\r\n\r\nhi": true, ok + "Content-Length: 2\r\n\r\nhi\x06": true, ok + "Content-Length: 0\r\n\r\n": true,
		ok + "X-A: b\r\n\r\nhi": false, ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": false, ok + "Content-Length: x\r\n\r\n": false,
	} {
		if got := whole([]byte(text), "GET"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if !whole([]byte(ok+"Content-Length: 2\r\n\r\n"), "HEAD") {
		t.Error("HEAD has no body")
	}
}

func TestWhatIsRegisteredOutlivesTheProcess(t *testing.T) {
	s := &state{Active: -1, Registrations: map[int]*Registration{}}
	for _, n := range []int{0, 1, 2} {
		s.register(&Registration{Generation: n})
	}
	if len(s.Registrations) != 1 { // those before have failed
		t.Error(s.Registrations)
	}
	s.activate(2)
	s.register(&Registration{Generation: 3, ZMQ: true})
	if len(s.Registrations) != 2 || !s.Registrations[3].ZMQ {
		t.Error(s.Registrations)
	}
	s.activate(3)
	if len(s.Registrations) != 1 {
		t.Error(s.Registrations)
	}
}
