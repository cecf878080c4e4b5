package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"

	"envoxyd/gateway/sidecar"
	"envoxyd/internal/shm"
	"envoxyd/modules/lenient"
	"envoxyd/protocol/m2m"
	"envoxyd/transports/zmq"
)

// conf is what of envoxy.json concerns this process. What others ask comes with each call.
type conf struct {
	Log struct {
		Level *lenient.Number `json:"level"`
	} `json:"log"`
	Boot []struct {
		ZMQ bootConf `json:"zmq"`
	} `json:"boot"`
	Servers json.RawMessage `json:"zmq_servers"` // for a comparison
}

// bootConf is boot[].zmq.
type bootConf struct {
	Bind  lenient.Texts `json:"bind"`
	Curve *struct {
		SecretKey string   `json:"secret_key"`
		KeyPath   string   `json:"secret_key_path"`
		Clients   []string `json:"clients"`
	} `json:"curve"`
	Plain *struct {
		Users map[string]lenient.Text `json:"users"`
	} `json:"plain"`
	HWM lenient.Number `json:"hwm"`
	heartbeatConf
}

type heartbeatConf struct {
	Heartbeat lenient.Number `json:"heartbeat"`
	Timeout   lenient.Number `json:"heartbeat_timeout"`
}

func (h heartbeatConf) heartbeat() zmq.Heartbeat {
	return zmq.Heartbeat{Interval: h.Heartbeat.Seconds(0), Timeout: h.Timeout.Seconds(0)}
}

// peerConf is zmq_servers.<name>.
type peerConf struct {
	Bind  string         `json:"bind"`
	Host  string         `json:"host"`
	Port  lenient.Number `json:"port"`
	Curve *struct {
		ServerKey string `json:"server_key"`
		SecretKey string `json:"secret_key"`
		KeyPath   string `json:"secret_key_path"`
	} `json:"curve"`
	Plain *struct {
		User   string       `json:"user"`
		Passwd lenient.Text `json:"passwd"`
	} `json:"plain"`
	Reconnect    lenient.Number `json:"reconnect"`
	ReconnectMax lenient.Number `json:"reconnect_max"`
	heartbeatConf
}

// readConf reads the sections one by one: what is wrong with one does not turn off the rest.
func readConf(text json.RawMessage) (*conf, error) {
	c := &conf{}
	var sections map[string]json.RawMessage
	if len(text) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(text, &sections); err != nil {
		return c, fmt.Errorf("envoxy.json: %w", err)
	}
	var problems error
	for name, into := range map[string]any{"log": &c.Log, "boot": &c.Boot, "zmq_servers": &c.Servers} {
		if value, there := sections[name]; there {
			if err := json.Unmarshal(value, into); err != nil {
				problems = errors.Join(problems, fmt.Errorf("envoxy.json: %s: %w", name, err))
			}
		}
	}
	return c, problems
}

func (c *conf) level() int {
	if c.Log.Level != nil {
		return int(*c.Log.Level)
	}
	return sidecar.LevelInfo
}

// settings are all but the addresses, for a comparison; of a key in a file that is the key.
func (b *bootConf) settings() []byte {
	copied := *b
	copied.Bind = nil
	text, err := json.Marshal(copied)
	if err != nil {
		return nil // nothing in it cannot be written
	}
	if b.Curve != nil && b.Curve.KeyPath != "" {
		key, _ := os.ReadFile(b.Curve.KeyPath) // an error is told of when it is bound
		text = append(text, key...)
	}
	return text
}

// security is how the log calls it.
func (b *bootConf) security() string {
	switch {
	case b.Curve != nil && len(b.Curve.Clients) > 0:
		return fmt.Sprintf(" (CURVE, %d clients)", len(b.Curve.Clients))
	case b.Curve != nil:
		return " (CURVE, any client)"
	case b.Plain != nil:
		return " (PLAIN)"
	}
	return ""
}

// server is how an address is bound.
func (b *bootConf) server(bind string) (config zmq.ServerConfig, err error) {
	config = zmq.ServerConfig{HWM: int(b.HWM), Heartbeat: b.heartbeat()}
	if config.Endpoint, err = m2m.ParseEndpoint(bind); err != nil {
		return config, err
	}
	if b.Curve != nil {
		key, err := secretKey(b.Curve.SecretKey, b.Curve.KeyPath)
		if err != nil {
			return config, err
		}
		if key == "" {
			return config, errors.New("curve: secret_key or secret_key_path is wanted")
		}
		config.Curve = &zmq.ServerCurve{SecretKey: key, Clients: b.Curve.Clients}
	}
	if b.Plain != nil {
		config.Users = map[string]string{}
		for user, password := range b.Plain.Users {
			config.Users[user] = string(password)
		}
	}
	return config, nil
}

// readPeer is how a server is asked.
func readPeer(text json.RawMessage) (config zmq.ClientConfig, err error) {
	var p peerConf
	if err := json.Unmarshal(text, &p); err != nil {
		return config, fmt.Errorf("zmq_servers: %w", err)
	}
	if p.Bind == "" {
		host := p.Host
		if host == "" {
			host = "127.0.0.1"
		}
		config.Endpoint = m2m.Endpoint{Host: host, Port: fmt.Sprint(int(p.Port))}
	} else if config.Endpoint, err = m2m.ParseEndpoint(p.Bind); err != nil {
		return config, err
	}
	if config.Endpoint.Path == "" && (config.Endpoint.Host == "" || config.Endpoint.Port == "0") {
		return config, fmt.Errorf("zmq_servers: %w", m2m.ErrEndpoint)
	}
	config.Heartbeat, config.Reconnect, config.ReconnectMax = p.heartbeat(), p.Reconnect.Seconds(0), p.ReconnectMax.Seconds(0)
	if p.Curve != nil {
		key, err := secretKey(p.Curve.SecretKey, p.Curve.KeyPath)
		if err != nil {
			return config, err
		}
		config.Curve = &zmq.ClientCurve{ServerKey: p.Curve.ServerKey, SecretKey: key}
	}
	if p.Plain != nil {
		config.Plain = &zmq.ClientPlain{User: p.Plain.User, Password: string(p.Plain.Passwd)}
	}
	return config, nil
}

// secretKey is a key, or the one in a file.
func secretKey(key, path string) (string, error) {
	if path == "" {
		return key, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("curve: %w", err)
	}
	if key, err = m2m.KeyIn(string(text)); err != nil {
		return "", fmt.Errorf("curve: %s: %w", path, err)
	}
	return key, nil
}

// Registration is what a generation of the service has to say. Its Python sends it before it serves.
type Registration struct {
	Generation int             `json:"generation"`
	Service    string          `json:"service"`
	Conf       json.RawMessage `json:"conf"`
	ZMQ        bool            `json:"zmq"` // views answer on ZeroMQ
}

// state is what outlives a process that ends unexpectedly.
type state struct {
	Active        int                   `json:"active"` // the generation that serves; -1: none yet
	Registrations map[int]*Registration `json:"registrations"`
}

func loadState(note *shm.Note) *state {
	s := &state{Active: -1}
	if !note.ReadJSON(s) {
		s = &state{Active: -1} // what a writer that was killed meanwhile has lost is registered again at the next reload
	}
	if s.Registrations == nil {
		s.Registrations = map[int]*Registration{}
	}
	return s
}

// register replaces what the generation has said before: with lazy-apps each worker says the same.
func (s *state) register(r *Registration) {
	maps.DeleteFunc(s.Registrations, func(n int, _ *Registration) bool { return n > s.Active && n < r.Generation }) // they have failed
	s.Registrations[r.Generation] = r
}

// activate makes the generation the one that serves, and forgets those before.
func (s *state) activate(generation int) {
	s.Active = generation
	maps.DeleteFunc(s.Registrations, func(n int, _ *Registration) bool { return n < generation })
}
