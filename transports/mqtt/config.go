package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"
)

// Config says how one broker is reached. The zero value of an optional field is
// its default.
type Config struct {
	Bind     string // mqtt://host:port or mqtts://host:port; a login in it wins over User
	User     string
	Password string

	CAFile   string // of mqtts: certificates to trust beside the system's
	CertFile string // of mqtts: the client's own certificate, with KeyFile
	KeyFile  string

	ClientID  string        // required
	Clean     bool          // MQTT's clean session: the broker keeps nothing while we are away
	KeepAlive time.Duration // 0: 60 s
	Will      *Will

	MaxQueued      int // messages to be published that wait for the broker; 0: 1000
	MaxQueuedBytes int // bytes of them; 0: 16 MiB
}

// Will is what the broker publishes when this client disappears.
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

const (
	defaultKeepAlive = 60 * time.Second
	defaultQueued    = 1000
	defaultBytes     = 16 << 20
	connectTimeout   = 10 * time.Second
	pingTime         = 60 * time.Second // for an answer, which may be queued behind many messages
	longestPause     = 10 * time.Second // between attempts to connect
)

// ErrConfig is wrapped by every error about a Config.
var ErrConfig = errors.New("mqtt: unusable configuration")

// address splits Bind into what the client library dials and the login.
func (c *Config) address() (address string, user, password string, encrypted bool, err error) {
	u, err := url.Parse(c.Bind)
	if err != nil || u.Host == "" || u.Scheme != "mqtt" && u.Scheme != "mqtts" {
		return "", "", "", false, fmt.Errorf("%w: bind: mqtt://host:port or mqtts://host:port is wanted", ErrConfig) // the URL may hold a password
	}
	user, password = c.User, c.Password
	if u.User != nil {
		user = u.User.Username()
		password, _ = u.User.Password()
	}
	encrypted = u.Scheme == "mqtts"
	scheme, port := "tcp", "1883"
	if encrypted {
		scheme, port = "ssl", "8883"
	}
	host := u.Host
	if u.Port() == "" {
		host += ":" + port
	}
	return scheme + "://" + host, user, password, encrypted, nil
}

// Host is the broker's host and port, which may be logged.
func (c *Config) Host() string {
	u, err := url.Parse(c.Bind)
	if err != nil {
		return "?"
	}
	return u.Host
}

func (c *Config) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%w: cert_path: %w", ErrConfig, err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%w: cert_path: no certificate in %s", ErrConfig, c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("%w: client certificate: %w", ErrConfig, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
