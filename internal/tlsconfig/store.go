package tlsconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"envoxyd/internal/pcre"
	"envoxyd/internal/tlsspec"
)

// errAbsent: the vault does not have a file any more, or not yet. What was made of it goes on.
var errAbsent = errors.New("is not in the memory of certificates")

// Store is what a listening socket has for TLS. It follows the vault: after a change there the next handshake has the new
// certificates. It may be used by several goroutines.
type Store struct {
	spec      *tlsspec.Socket
	vault     *Vault
	protocols []string
	logf      func(format string, args ...any)

	set      atomic.Pointer[set]
	dir      *directory // nil: there is none
	named    *directory // of AlsoNamed; nil: nothing
	updating sync.Mutex
}

// set is what was made of one state of the vault. It does not change.
type set struct {
	version  uint32
	seeds    [][]byte
	fallback *tls.Config
	byName   map[string]*tls.Config // in lower case; "*.DOMAIN" too
	patterns []patternConfig
}

type patternConfig struct {
	*pcre.Pattern
	config *tls.Config
}

// New makes the store of a socket. protocols are those that ALPN may agree on, the preferred one first; h2 is left out where the
// socket is not to have it, or its ciphers do not allow it. logf logs one line, in which args are not to be trusted. An error
// names the file that is to blame.
func New(spec *tlsspec.Socket, vault *Vault, protocols []string, logf func(format string, args ...any)) (*Store, error) {
	s := &Store{spec: spec, vault: vault, protocols: protocols, logf: logf}
	version := vault.version()
	contents, err := vault.Read()
	if err != nil {
		return nil, err
	}
	made, err := s.make(contents, version)
	if err != nil {
		return nil, err
	}
	s.set.Store(made)
	if spec.Dir != "" {
		s.dir = newDirectory(s)
	}
	return s, nil
}

// Check tells what is wrong with the files of a socket, or with its patterns.
func Check(spec *tlsspec.Socket, files map[string][]byte) error {
	_, err := (&Store{spec: spec}).make(Contents{Files: files}, 0)
	return err
}

// Config is the configuration for connections of the socket. It is made once; each handshake chooses by the host that the client
// asks for.
func (s *Store) Config() *tls.Config {
	return &tls.Config{
		GetConfigForClient: s.forClient, MinVersion: s.spec.MinVersion, MaxVersion: s.spec.MaxVersion, NextProtos: s.next(&s.spec.Certificate),
	}
}

func (s *Store) forClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	return s.find(strings.ToLower(hello.ServerName)), nil
}

// find is the configuration for a host, which is in lower case; "" is none.
func (s *Store) find(name string) *tls.Config {
	now := s.current()
	if name == "" {
		return now.fallback
	}
	if config := now.find(name); config != nil {
		return config
	}
	for _, d := range []*directory{s.dir, s.named} {
		if d == nil {
			continue
		}
		if config := d.find(name, now); config != nil {
			return config
		}
	}
	return now.fallback
}

// find looks for a name that is in lower case: as it is, then with * for its first label, then among the patterns in their order.
func (n *set) find(name string) *tls.Config {
	if config := n.byName[name]; config != nil {
		return config
	}
	if dot := strings.IndexByte(name, '.'); dot > 0 {
		if config := n.byName["*"+name[dot:]]; config != nil {
			return config
		}
	}
	for i := range n.patterns {
		if n.patterns[i].Match([]byte(name)) {
			return n.patterns[i].config
		}
	}
	return nil
}

// current is the set of the vault as it is now. While one goroutine makes it, others go on with the one before.
func (s *Store) current() *set {
	before := s.set.Load()
	version := s.vault.version()
	if version == before.version || !s.updating.TryLock() {
		return before
	}
	defer s.updating.Unlock()
	contents, err := s.vault.Read()
	if err != nil { // it is being written: the next handshake tries again
		return before
	}
	made, err := s.make(contents, version)
	switch {
	case errors.Is(err, errAbsent): // this worker is about to leave
		made = before.at(version)
	case err != nil:
		s.logf("TLS: %v: the certificates from before go on", err)
		made = before.at(version)
	}
	s.set.Store(made)
	return made
}

// at is the same set for another version of the vault.
func (n *set) at(version uint32) *set {
	same := *n
	same.version = version
	return &same
}

// make makes a set of files and seeds.
func (s *Store) make(contents Contents, version uint32) (*set, error) {
	made := &set{version: version, seeds: contents.Seeds, byName: map[string]*tls.Config{}}
	var err error
	if made.fallback, err = s.config(&s.spec.Certificate, "", contents); err != nil {
		return nil, err
	}
	for i := range s.spec.Names {
		n := &s.spec.Names[i]
		config, err := s.config(&n.Certificate, n.Name, contents)
		if err != nil {
			return nil, err
		}
		if name := strings.ToLower(n.Name); !n.Pattern {
			if made.byName[name] == nil { // the first one counts
				made.byName[name] = config
			}
			continue
		}
		pattern, err := pcre.Compile("(?i)" + n.Name)
		if err != nil {
			return nil, err
		}
		made.patterns = append(made.patterns, patternConfig{pattern, config})
	}
	return made, nil
}

// config makes the configuration of one certificate. name tells it from others of the socket.
func (s *Store) config(c *tlsspec.Certificate, name string, contents Contents) (*tls.Config, error) {
	pair, err := keyPair(c, contents.Files)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair}, CipherSuites: c.Ciphers, MinVersion: s.spec.MinVersion, MaxVersion: s.spec.MaxVersion,
		DynamicRecordSizingDisabled: true, // a response is one record where it fits
		NextProtos:                  s.next(c), SessionTicketsDisabled: s.spec.NoTickets || len(contents.Seeds) == 0,
	}
	if c.ClientCA != "" {
		ca, there := contents.Files[c.ClientCA]
		if !there {
			return nil, fmt.Errorf("client CA %s %w", c.ClientCA, errAbsent)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("client CA %s: there is no certificate in it", c.ClientCA)
		}
		config.ClientAuth = tls.VerifyClientCertIfGiven
		if c.Required {
			config.ClientAuth = tls.RequireAndVerifyClientCert
		}
		config.VerifyConnection = s.checkDepth
	}
	if !config.SessionTicketsDisabled {
		config.SetSessionTicketKeys(s.ticketKeys(c, name, contents))
	}
	return config, nil
}

var errDepth = errors.New("tls: the client's certificate is further from its root than ssl-verify-depth allows")

// checkDepth counts certificates between the client's and the root, as OpenSSL does.
func (s *Store) checkDepth(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	for _, chain := range state.VerifiedChains {
		if len(chain)-2 <= s.spec.Depth {
			return nil
		}
	}
	return errDepth
}
