package modules

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const someKey = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

func TestZeroMQSettingsThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct{ zmq, server, want string }{
		{`{"bind": "udp://*:1"}`, "", "boot[0].zmq.bind: cannot be understood: tcp://host:port"},
		{`{"bind": [":5555", "ipc://"]}`, "", "boot[0].zmq.bind[1]"},
		{`{"bind": ":5", "curv": {}}`, "", `boot[0].zmq: cannot be understood: it has no "curv"; there are bind, curve`},
		{`{"bind": ":5", "curve": {"secret": "x"}}`, "", `boot[0].zmq.curve: cannot be understood: it has no "secret"`},
		{`{"bind": ":5", "curve": {"clients": []}}`, "", "boot[0].zmq.curve: cannot be understood: one of secret_key, secret_key_path"},
		{`{"bind": ":5", "curve": {"secret_key": "S3CRET"}}`, "", "boot[0].zmq.curve.secret_key: cannot be understood: a key of CURVE has 40"},
		{`{"bind": ":5", "curve": {"secret_key": "KEY", "clients": ["x"]}}`, "", "boot[0].zmq.curve.clients[0]"},
		{`{"bind": ":5", "curve": {"secret_key": "KEY"}, "plain": {"users": {}}}`, "", "boot[0].zmq: cannot be understood: curve and plain"},
		{`{"bind": ":5", "plain": {}}`, "", "boot[0].zmq.plain: cannot be understood: users is missing"},
		{`{"bind": ":5", "plain": {"users": {"u": ""}}}`, "", "boot[0].zmq.plain.users.u: cannot be understood: it is empty"},
		{`{"bind": ":5", "hwm": "many"}`, "", "boot[0].zmq.hwm"},
		{`{"bind": ":5", "heartbeat": -1}`, "", "boot[0].zmq.heartbeat: cannot be understood: a number of seconds"},
		{"", `{"bind": "host"}`, "zmq_servers.s.bind"},
		{"", `{"bind": ":1", "curve": {"secret_key": "KEY"}}`, "zmq_servers.s.curve: cannot be understood: server_key is missing"},
		{"", `{"bind": ":1", "curve": {"server_key": "short"}}`, "zmq_servers.s.curve.server_key"},
		{"", `{"bind": ":1", "curve": {"server_key": "KEY", "secret_key": "KEY", "secret_key_path": "p"}}`, "zmq_servers.s: cannot be understood: curve has secret_key or"},
		{"", `{"bind": ":1", "plain": {"user": "u"}}`, "zmq_servers.s.plain: cannot be understood: passwd is missing"},
		{"", `{"bind": ":1", "plain": {"user": "", "passwd": "p"}}`, "zmq_servers.s.plain.user"},
		{"", `{"bind": ":1", "reconnect": "soon"}`, "zmq_servers.s.reconnect"},
	} {
		text := strings.ReplaceAll(document(c.zmq, c.server), "KEY", someKey)
		_, err := Load(write(t, text), nil)
		if !errors.Is(err, ErrValue) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%s\n got %v\nwant %s", text, err, c.want)
		}
	}
}

func document(zmq, server string) string {
	var parts []string
	if zmq != "" {
		parts = append(parts, fmt.Sprintf(`"boot": [{"zmq": %s}]`, zmq))
	}
	if server != "" {
		parts = append(parts, fmt.Sprintf(`"zmq_servers": {"s": %s}`, server))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func TestZeroMQSettingsThatCanBeUsed(t *testing.T) {
	for place, text := range map[string]string{
		":1:18: boot[0].zmq.bind":  `{"boot": [{"zmq": {"bind": "tcp://*:5555"}}]}`,
		":1:31: zmq_servers.parts": `{"zmq_servers": {"parts": {"host": "h", "port": "5", "cached_routes": {}, "heartbeat": "2.5"}}}`,
		": zmq_servers.s":          `{"zmq_servers": {"s": {"bind": "ipc:///run/s", "curve": {"server_key": "KEY"}}}}`,
		": boot[0].zmq.bind":       `{"boot": [{"zmq": {"bind": ["ipc:///run/s", ":5"], "curve": {"secret_key_path": "key", "clients": ["KEY"]}, "hwm": 10}}]}`,
		"":                         `{"boot": [{"zmq": {"bind": []}}], "zmq_servers": {}}`,
		"nothing":                  `{"zmq_servers": {"default": null}}`,
	} {
		service, err := Load(write(t, strings.ReplaceAll(text, "KEY", someKey)), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		uses := place != "" && place != "nothing"
		if service.UsesZeroMQ() != uses {
			t.Errorf("%s: uses ZeroMQ: %v", text, !uses)
		}
		if uses {
			if err := service.WithoutZeroMQ(errors.New("no reason")); !strings.Contains(err.Error(), place[strings.LastIndex(place, ":"):]+": no reason") || !strings.Contains(err.Error(), ".json:1:") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	service, err := Load(write(t, `{}`), []string{"ENVOXY_ZMQ_PARTS_BIND=ipc:///run/parts"})
	if err != nil || !service.UsesZeroMQ() || !strings.Contains(string(service.Document), `"parts":{"bind":"ipc:///run/parts"}`) {
		t.Error(service, err)
	}
}
