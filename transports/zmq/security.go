package zmq

import (
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/pebbe/zmq4"
)

// ServerCurve is CURVE for those that answer. Keys are Z85.
type ServerCurve struct {
	SecretKey string
	Clients   []string // public keys of those who may ask; none: whoever knows the server's
}

// ClientCurve is CURVE for those that ask.
type ClientCurve struct {
	ServerKey string // the server's public key
	SecretKey string // "": a new one for each connection
}

// ClientPlain is PLAIN for those that ask.
type ClientPlain struct{ User, Password string }

// Heartbeat has silent connections noticed: after Interval a peer is asked for a sign of life, which has
// Timeout (the same, if 0) to come. Zero: none.
type Heartbeat struct{ Interval, Timeout time.Duration }

func (h Heartbeat) set(s *zmq4.Socket) error {
	if h.Interval <= 0 {
		return nil
	}
	if h.Timeout <= 0 {
		h.Timeout = h.Interval
	}
	if err := s.SetHeartbeatIvl(h.Interval); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	if err := s.SetHeartbeatTimeout(h.Timeout); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

func (c *ServerCurve) set(s *zmq4.Socket) error {
	if err := s.SetCurveServer(1); err != nil {
		return fmt.Errorf("curve: %w", err)
	}
	if err := s.SetCurveSecretkey(c.SecretKey); err != nil {
		return fmt.Errorf("curve: the secret key: %w", err)
	}
	return nil
}

func (c *ClientCurve) set(s *zmq4.Socket) error {
	secret := c.SecretKey
	var public string
	var err error
	if secret == "" {
		public, secret, err = zmq4.NewCurveKeypair()
	} else {
		public, err = zmq4.AuthCurvePublic(secret)
	}
	if err != nil {
		return fmt.Errorf("curve: the secret key: %w", err)
	}
	if err := s.ClientAuthCurve(c.ServerKey, public, secret); err != nil {
		return fmt.Errorf("curve: %w", err)
	}
	return nil
}

func (p *ClientPlain) set(s *zmq4.Socket) error {
	if err := s.ClientAuthPlain(p.User, p.Password); err != nil {
		return fmt.Errorf("plain: %w", err)
	}
	return nil
}

// serveZAP answers libzmq's questions who may connect (RFC 27), inside this process.
//
// Sockets without security have a domain, too: libzmq then refuses peers of ZMTP 1 and 2, for which
// whatever somebody sends to the port can be mistaken.
func (l *Loop) serveZAP() (err error) {
	l.zap, err = l.add(zmq4.REP, func(s *zmq4.Socket) error { return s.Bind("inproc://zeromq.zap.01") }, func() {
		for range batch {
			frames, err := l.zap.socket.RecvMessageBytes(zmq4.DONTWAIT)
			if err != nil { // EAGAIN
				return
			}
			if _, err := l.zap.socket.SendMessageDontwait(l.authenticate(frames)); err != nil {
				l.logf("zmq: authentication: %v", err)
			}
		}
		l.look(l.zap)
	})
	return err
}

// authenticate makes the answer: version, request, status, its text, user, metadata.
func (l *Loop) authenticate(frames [][]byte) []string {
	if len(frames) < 6 {
		return []string{"1.0", "", "500", "a request of another form", "", ""}
	}
	request, domain, address, mechanism := string(frames[1]), string(frames[2]), string(frames[3]), string(frames[5])
	server := l.servers[domain]
	user, allowed := "", false
	if server != nil {
		user, allowed = server.config.allow(mechanism, frames[6:])
	}
	if allowed {
		return []string{"1.0", request, "200", "OK", user, ""}
	}
	if server != nil && l.seldom("refused"+domain) {
		l.logf("%s: refused %q of %s from %s", server, user, mechanism, address)
	}
	return []string{"1.0", request, "400", "the credentials are refused", "", ""}
}

// allow decides about a peer: the user's name or public key, and whether it may connect.
func (c *ServerConfig) allow(mechanism string, credentials [][]byte) (user string, allowed bool) {
	switch {
	case c.Curve != nil:
		if mechanism != "CURVE" || len(credentials) != 1 || len(credentials[0]) != 32 {
			return "", false
		}
		user = zmq4.Z85encode(string(credentials[0]))
		allowed = len(c.Curve.Clients) == 0
		for _, key := range c.Curve.Clients {
			allowed = allowed || subtle.ConstantTimeCompare([]byte(key), []byte(user)) == 1
		}
		return user, allowed
	case c.Users != nil:
		if mechanism != "PLAIN" || len(credentials) != 2 {
			return "", false
		}
		user = string(credentials[0])
		password, known := c.Users[user]
		right := subtle.ConstantTimeCompare([]byte(password), credentials[1]) == 1
		return user, known && right
	}
	return "", mechanism == "NULL"
}
