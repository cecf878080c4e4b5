package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"envoxyd/modules/lenient"
	"envoxyd/protocol/m2m"
	"envoxyd/transports/mqtt"
)

// conf is what of envoxy.json concerns the gateway.
type conf struct {
	MQTT map[string]brokerConf `json:"mqtt_servers"`
	ZMQ  map[string]peerConf   `json:"zmq_servers"`
	Log  struct {
		Level *lenient.Number `json:"level"`
	} `json:"log"`
	PostgreSQL map[string]json.RawMessage `json:"psql_servers"`
	Redis      map[string]storeConf       `json:"redis_servers"`
	CouchDB    map[string]storeConf       `json:"couchdb_servers"`
	AMQP       map[string]storeConf       `json:"amqp_servers"`
	Cache      *storeConf                 `json:"cache"`
	Timers     struct {
		Once string `json:"once"` // where instances agree on who calls timers with once: psql_servers.NAME, redis_servers.NAME
	} `json:"timers"`
	Health struct {
		Interval lenient.Number `json:"interval"` // seconds between two polls of a connector; 0: 10
		Timeout  lenient.Number `json:"timeout"`  // seconds that a poll may take; 0: 2
	} `json:"health"`
}

type brokerConf struct {
	Bind      string          `json:"bind"`
	User      string          `json:"user"`
	Passwd    lenient.Text    `json:"passwd"`
	CertPath  string          `json:"cert_path"`
	ClientCrt string          `json:"client_cert_path"`
	ClientKey string          `json:"client_key_path"`
	ClientID  string          `json:"client_id"`
	Clean     *lenient.Toggle `json:"clean_session"`
	KeepAlive lenient.Number  `json:"keepalive"`
	MaxQueued lenient.Number  `json:"max_queued"`
	Will      *willConf       `json:"will"`
	Embedded  lenient.Toggle  `json:"embedded"`
	Shared    lenient.Toggle  `json:"shared"` // subscriptions are, unless they say otherwise: Python applies it to each
}

type willConf struct {
	Topic   string          `json:"topic"`
	Payload json.RawMessage `json:"payload"`
	QoS     lenient.Number  `json:"qos"`
	Retain  lenient.Toggle  `json:"retain"`
}

type peerConf struct {
	Bind string         `json:"bind"`
	Host string         `json:"host"`
	Port lenient.Number `json:"port"`
}

// address is where the peer is reached, for package net.
func (p *peerConf) address() (network, address string) {
	if endpoint, err := m2m.ParseEndpoint(p.Bind); err == nil {
		return endpoint.Dial()
	}
	return "tcp", net.JoinHostPort(p.Host, fmt.Sprint(int(p.Port)))
}

type storeConf struct {
	Bind     string         `json:"bind"`
	Host     string         `json:"host"`
	Port     lenient.Number `json:"port"`
	User     string         `json:"user"`
	Passwd   lenient.Text   `json:"passwd"`
	Password lenient.Text   `json:"password"`
	TLS      lenient.Toggle `json:"ssl"`
	CertPath string         `json:"cert_path"`
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
	}{{"log", &c.Log}, {"health", &c.Health}, {"timers", &c.Timers}, {"cache", &c.Cache}, {"psql_servers", &c.PostgreSQL}} {
		if value, there := sections[section.name]; there {
			if err := json.Unmarshal(value, section.into); err != nil {
				problems = errors.Join(problems, fmt.Errorf("gateway: envoxy.json: %s: %w", section.name, err))
			}
		}
	}
	c.MQTT = lenient.Servers[brokerConf](sections, "mqtt_servers", &problems)
	c.ZMQ = lenient.Servers[peerConf](sections, "zmq_servers", &problems)
	c.Redis = lenient.Servers[storeConf](sections, "redis_servers", &problems)
	c.CouchDB = lenient.Servers[storeConf](sections, "couchdb_servers", &problems)
	c.AMQP = lenient.Servers[storeConf](sections, "amqp_servers", &problems)
	return c, problems
}

// client is how the broker is reached, but for the login.
func (b *brokerConf) client(id string, wantsSession bool) mqtt.Config {
	cfg := mqtt.Config{
		Bind: b.Bind, CAFile: b.CertPath, CertFile: b.ClientCrt, KeyFile: b.ClientKey, ClientID: id,
		KeepAlive: b.KeepAlive.Seconds(0), MaxQueued: int(b.MaxQueued), Clean: b.ClientID == "" && !wantsSession,
	}
	if b.ClientID != "" {
		cfg.ClientID = b.ClientID
	}
	if name, err := os.Hostname(); b.ClientID != "" && b.Shared && err == nil { // other machines have the same configuration
		cfg.ClientID += "-" + name
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
