package gateway

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"envoxyd/transports/mqtt"
)

// conf is what of envoxy.json concerns the gateway.
type conf struct {
	MQTT map[string]brokerConf `json:"mqtt_servers"`
	ZMQ  map[string]peerConf   `json:"zmq_servers"`
	Log  struct {
		Level *number `json:"level"`
	} `json:"log"`
	Boot []struct {
		ZMQ struct {
			Bind texts `json:"bind"`
		} `json:"zmq"`
	} `json:"boot"`
	PostgreSQL map[string]json.RawMessage `json:"psql_servers"`
	Redis      map[string]storeConf       `json:"redis_servers"`
	CouchDB    map[string]storeConf       `json:"couchdb_servers"`
	AMQP       map[string]storeConf       `json:"amqp_servers"`
	Cache      *storeConf                 `json:"cache"`
	Health     struct {
		Interval number `json:"interval"` // seconds between two looks at a connector; 0: 10
		Timeout  number `json:"timeout"`  // seconds that one may take; 0: 2
	} `json:"health"`
}

type brokerConf struct {
	Bind      string    `json:"bind"`
	User      string    `json:"user"`
	Passwd    string    `json:"passwd"`
	CertPath  string    `json:"cert_path"`
	ClientCrt string    `json:"client_cert_path"`
	ClientKey string    `json:"client_key_path"`
	ClientID  string    `json:"client_id"`
	Clean     *bool     `json:"clean_session"`
	KeepAlive number    `json:"keepalive"`
	MaxQueued number    `json:"max_queued"`
	Will      *willConf `json:"will"`
	Embedded  bool      `json:"embedded"`
}

type willConf struct {
	Topic   string          `json:"topic"`
	Payload json.RawMessage `json:"payload"`
	QoS     number          `json:"qos"`
	Retain  bool            `json:"retain"`
}

type peerConf struct {
	Host string `json:"host"`
	Port number `json:"port"`
}

type storeConf struct {
	Bind   string `json:"bind"`
	Host   string `json:"host"`
	Port   number `json:"port"`
	DB     any    `json:"db"`
	User   string `json:"user"`
	Passwd string `json:"passwd"`
}

// number may be written as text, as envoxy.json has it mostly.
type number float64

// UnmarshalJSON reads 5, "5" and "" (nothing).
func (n *number) UnmarshalJSON(text []byte) error {
	trimmed := strings.TrimSpace(strings.Trim(string(text), `"`))
	if trimmed == "" || trimmed == "null" {
		return nil
	}
	value, err := strconv.ParseFloat(trimmed, 64)
	if err != nil {
		return fmt.Errorf("%s is not a number", text)
	}
	*n = number(value)
	return nil
}

func (n number) seconds(otherwise time.Duration) time.Duration {
	if n <= 0 {
		return otherwise
	}
	return time.Duration(float64(n) * float64(time.Second))
}

// texts is one text or a list of them.
type texts []string

// UnmarshalJSON reads "a" and ["a", "b"].
func (t *texts) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

func readConf(text json.RawMessage) (*conf, error) {
	c := &conf{}
	if len(text) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("gateway: envoxy.json: %w", err)
	}
	return c, nil
}

// client is how the broker is reached, but for the login.
func (b *brokerConf) client(id string, wantsSession bool) mqtt.Config {
	cfg := mqtt.Config{
		Bind: b.Bind, CAFile: b.CertPath, CertFile: b.ClientCrt, KeyFile: b.ClientKey, ClientID: id,
		KeepAlive: b.KeepAlive.seconds(0), MaxQueued: int(b.MaxQueued), Clean: b.ClientID == "" && !wantsSession,
	}
	if b.ClientID != "" {
		cfg.ClientID = b.ClientID
	}
	if b.Clean != nil {
		cfg.Clean = *b.Clean
	}
	if w := b.Will; w != nil && w.Topic != "" {
		payload := []byte(w.Payload)
		var plain string
		if json.Unmarshal(w.Payload, &plain) == nil {
			payload = []byte(plain)
		}
		cfg.Will = &mqtt.Will{Topic: w.Topic, Payload: payload, QoS: byte(w.QoS), Retain: w.Retain}
	}
	return cfg
}

// login is the broker's own, else the service's.
func (b *brokerConf) login(service Login) (user, password string) {
	if b.User != "" {
		return b.User, b.Passwd
	}
	return service.User, service.Password
}
