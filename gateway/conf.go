package gateway

import (
	"encoding/json"
	"errors"
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
		Interval number `json:"interval"` // seconds between two polls of a connector; 0: 10
		Timeout  number `json:"timeout"`  // seconds that a poll may take; 0: 2
	} `json:"health"`
}

type brokerConf struct {
	Bind      string    `json:"bind"`
	User      string    `json:"user"`
	Passwd    looseText `json:"passwd"`
	CertPath  string    `json:"cert_path"`
	ClientCrt string    `json:"client_cert_path"`
	ClientKey string    `json:"client_key_path"`
	ClientID  string    `json:"client_id"`
	Clean     *toggle   `json:"clean_session"`
	KeepAlive number    `json:"keepalive"`
	MaxQueued number    `json:"max_queued"`
	Will      *willConf `json:"will"`
	Embedded  toggle    `json:"embedded"`
}

type willConf struct {
	Topic   string          `json:"topic"`
	Payload json.RawMessage `json:"payload"`
	QoS     number          `json:"qos"`
	Retain  toggle          `json:"retain"`
}

type peerConf struct {
	Host string `json:"host"`
	Port number `json:"port"`
}

type storeConf struct {
	Bind     string    `json:"bind"`
	Host     string    `json:"host"`
	Port     number    `json:"port"`
	User     string    `json:"user"`
	Passwd   looseText `json:"passwd"`
	Password looseText `json:"password"`
	TLS      toggle    `json:"ssl"`
	CertPath string    `json:"cert_path"`
}

// looseText is a text that may have been written as a number.
type looseText string

// UnmarshalJSON reads "a" and 12.
func (w *looseText) UnmarshalJSON(text []byte) error {
	var plain string
	if json.Unmarshal(text, &plain) != nil {
		plain = string(text)
	}
	*w = looseText(plain)
	return nil
}

// toggle is true or false, also where variables and the command line give text.
type toggle bool

// UnmarshalJSON reads true, "true", 1 and their opposites.
func (t *toggle) UnmarshalJSON(text []byte) error {
	switch strings.ToLower(strings.Trim(string(text), `"`)) {
	case "true", "1", "yes", "on":
		*t = true
	case "false", "0", "no", "off", "", "null":
		*t = false
	default:
		return fmt.Errorf("%s is neither true nor false", text)
	}
	return nil
}

// number may be written as text, as it mostly is in envoxy.json.
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

// readConf reads the sections one by one: what is wrong with one does not turn off the rest.
func readConf(text json.RawMessage) (*conf, error) {
	c := &conf{}
	if len(text) == 0 {
		return c, nil
	}
	var sections map[string]json.RawMessage
	if err := json.Unmarshal(text, &sections); err != nil {
		return c, fmt.Errorf("gateway: envoxy.json: %w", err)
	}
	var problems error
	for _, section := range []struct {
		name string
		into any
	}{{"log", &c.Log}, {"boot", &c.Boot}, {"health", &c.Health}, {"cache", &c.Cache}, {"psql_servers", &c.PostgreSQL}} {
		if value, there := sections[section.name]; there {
			if err := json.Unmarshal(value, section.into); err != nil {
				problems = errors.Join(problems, fmt.Errorf("gateway: envoxy.json: %s: %w", section.name, err))
			}
		}
	}
	c.MQTT = readServers[brokerConf](sections, "mqtt_servers", &problems)
	c.ZMQ = readServers[peerConf](sections, "zmq_servers", &problems)
	c.Redis = readServers[storeConf](sections, "redis_servers", &problems)
	c.CouchDB = readServers[storeConf](sections, "couchdb_servers", &problems)
	c.AMQP = readServers[storeConf](sections, "amqp_servers", &problems)
	return c, problems
}

func readServers[T any](sections map[string]json.RawMessage, name string, problems *error) map[string]T {
	found := map[string]T{}
	var servers map[string]json.RawMessage
	if text, there := sections[name]; there {
		if err := json.Unmarshal(text, &servers); err != nil {
			*problems = errors.Join(*problems, fmt.Errorf("gateway: envoxy.json: %s: %w", name, err))
		}
	}
	for key, text := range servers {
		var server T
		if len(text) > 0 && text[0] != '{' { // "default" names a server
			continue
		}
		if err := json.Unmarshal(text, &server); err != nil {
			*problems = errors.Join(*problems, fmt.Errorf("gateway: envoxy.json: %s.%s: %w", name, key, err))
			continue
		}
		found[key] = server
	}
	return found
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
		cfg.Clean = bool(*b.Clean)
	}
	if w := b.Will; w != nil && w.Topic != "" {
		payload := []byte(w.Payload)
		var plain string
		if json.Unmarshal(w.Payload, &plain) == nil {
			payload = []byte(plain)
		}
		cfg.Will = &mqtt.Will{Topic: w.Topic, Payload: payload, QoS: byte(w.QoS), Retain: bool(w.Retain)}
	}
	return cfg
}

// login is the broker's own, else the service's.
func (b *brokerConf) login(service Login) (user, password string) {
	if b.User != "" {
		return b.User, string(b.Passwd)
	}
	return service.User, service.Password
}
