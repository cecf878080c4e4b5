package uwsgiopts

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"envoxyd/internal/openssl"
)

// TLSConfig is what is said about TLS beside the sockets. Paths are as they were written: those of certificates relate to
// Config.StartDir, as uWSGI reads them at once, and SNIDir to where --chdir leads.
type TLSConfig struct {
	SNI           []SNI
	SNIDir        string
	SNIDirCiphers []uint16 // as Certificate.Ciphers
	VerifyDepth   int      // most certificates between a client's and its root
	TLSVerbose    bool
	ExportCert    bool   // HTTPS_CC
	HTTP2         bool   // where HTTP is spoken over TLS
	TLSOldest     uint16 // version, as crypto/tls numbers them
	TLSNewest     uint16
	NoTickets     bool // sessions are not resumed

	enableTLSv1 bool
	sslOptions  uint64
}

// Certificate is a certificate, and how clients are dealt with that are shown it.
type Certificate struct {
	Cert, Key string
	Ciphers   []uint16 // of crypto/tls, for TLS 1.2 and older; none: crypto/tls's own
	ClientCA  string   // whose certificates clients may show; "": they are not asked
	Required  bool     // they have to show one
}

// SNI is a certificate for clients that ask for a host.
type SNI struct {
	Name    string // a host, *.DOMAIN, or a regular expression
	Pattern bool   // it is an expression
	Certificate
	Origin Origin
}

func tlsDefaults() TLSConfig {
	return TLSConfig{VerifyDepth: 1, HTTP2: true, TLSOldest: tls.VersionTLS12, TLSNewest: tls.VersionTLS13}
}

// secureSocket adds a socket for TLS: ADDRESS,CERT,KEY[,CIPHERS[,CLIENT_CA]].
func secureSocket(protocol string) effect {
	return List.by(func(c *Config, g given) error {
		address, rest, _ := strings.Cut(g.text, ",")
		certificate, err := readCertificate(g, rest)
		if err != nil || address == "" {
			return orSyntax(err, g, "ADDRESS,CERT,KEY[,CIPHERS[,CLIENT_CA]]")
		}
		c.Sockets = append(c.Sockets, Socket{Protocol: protocol, Address: address, TLS: &certificate})
		return nil
	})
}

// orSyntax is err, or what the value has to look like where there is no better reason.
func orSyntax(err error, g given, form string) error {
	if err != nil && !errors.Is(err, errSyntax) {
		return err
	}
	return fmt.Errorf("option %q: %q is not %s", g.name, g.text, form)
}

var errSyntax = errors.New("a part is missing")

// readCertificate reads CERT,KEY[,CIPHERS[,CLIENT_CA]].
func readCertificate(g given, text string) (c Certificate, err error) {
	parts := strings.Split(text, ",")
	if len(parts) < 2 || len(parts) > 4 || parts[0] == "" || parts[1] == "" {
		return c, errSyntax
	}
	parts = append(parts, "", "")
	c.Cert, c.Key = parts[0], parts[1]
	if c.Ciphers, err = readCiphers(g, parts[2]); err != nil {
		return c, err
	}
	c.setClientCA(parts[3])
	return c, c.refuseSchemes(g)
}

// setClientCA reads a file; an exclamation mark before it obliges clients to show a certificate.
func (c *Certificate) setClientCA(text string) {
	c.ClientCA, c.Required = strings.CutPrefix(text, "!")
}

// refuseSchemes: uWSGI takes what it can fetch for a file here, too.
func (c *Certificate) refuseSchemes(g given) error {
	for _, path := range []string{c.Cert, c.Key, c.ClientCA} {
		if strings.Contains(path, "://") {
			return fmt.Errorf("option %q: %q: certificates and keys have to be files", g.name, path)
		}
	}
	if c.Required && c.ClientCA == "" {
		return fmt.Errorf("option %q: a file name must follow the !", g.name)
	}
	return nil
}

// readCiphers reads OpenSSL's list, and tells what of it is not offered.
func readCiphers(g given, text string) ([]uint16, error) {
	if text == "" {
		return nil, nil
	}
	list, err := openssl.ParseCiphers(text)
	if err != nil {
		return nil, fmt.Errorf("option %q: %w", g.name, err)
	}
	if len(list.Passed) > 0 {
		g.notice("option %q: the ciphers %s have no effect (docs/tls.md)", g.name, strings.Join(list.Passed, ", "))
	}
	return list.Suites, nil
}

// namedSecureSocket adds a socket for TLS: addr=ADDRESS,cert=CERT,key=KEY[,ciphers=…][,clientca=…][,spdy=…].
func namedSecureSocket(protocol string) effect {
	return List.by(func(c *Config, g given) error { return addNamedSecure(c, g, protocol) })
}

func addNamedSecure(c *Config, g given, protocol string) (err error) {
	s := Socket{Protocol: protocol, TLS: &Certificate{}}
	for part := range strings.SplitSeq(g.text, ",") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "addr":
			s.Address = value
		case "cert", "crt":
			s.TLS.Cert = value
		case "key":
			s.TLS.Key = value
		case "ciphers":
			s.TLS.Ciphers, err = readCiphers(g, value)
		case "clientca", "client_ca":
			s.TLS.setClientCA(value)
		case "spdy":
			if protocol != protocolRouter {
				err = fmt.Errorf("option %q: SPDY carries HTTP, which is not looked at here", g.name)
			} else if value != "" && value != "0" {
				g.notice("option %q: SPDY is superseded by HTTP/2, which clients negotiate (http2)", g.name)
			}
		default:
			err = fmt.Errorf("option %q: %q is not one of addr, cert, key, ciphers, clientca, spdy", g.name, key)
		}
		if err != nil {
			return err
		}
	}
	if s.Address == "" || s.TLS.Cert == "" || s.TLS.Key == "" {
		return fmt.Errorf("option %q: %q needs addr=, cert= and key=", g.name, g.text)
	}
	c.Sockets = append(c.Sockets, s)
	return s.TLS.refuseSchemes(g)
}

// addSNI reads NAME CERT,KEY[,CIPHERS[,CLIENT_CA]].
func addSNI(pattern bool) effect {
	return List.by(func(c *Config, g given) error {
		name, rest, _ := strings.Cut(strings.TrimSpace(g.text), " ")
		certificate, err := readCertificate(g, strings.TrimSpace(rest))
		if err != nil || name == "" {
			return orSyntax(err, g, "NAME CERT,KEY[,CIPHERS[,CLIENT_CA]]")
		}
		// uWSGI's documentation has *.DOMAIN for an expression, which it is none.
		c.SNI = append(c.SNI, SNI{Name: name, Pattern: pattern && !strings.HasPrefix(name, "*."), Certificate: certificate})
		return nil
	})
}

func setSNIDirCiphers(c *Config, g given) (err error) {
	c.SNIDirCiphers, err = readCiphers(g, g.text)
	return err
}

func addSSLOption(c *Config, g given) error {
	bits, err := openssl.ParseOption(strings.TrimSpace(g.text))
	if err != nil {
		return fmt.Errorf("option %q: %w", g.name, err)
	}
	c.sslOptions |= bits
	return nil
}

// finishTLS decides about versions and sessions.
func (p *parser) finishTLS() (err error) {
	c := p.cfg
	c.NoTickets = c.sslOptions&openssl.NoTicket != 0
	if c.TLSOldest, c.TLSNewest, err = openssl.Versions(c.enableTLSv1, c.sslOptions); err != nil {
		return p.refuseValue("ssl-option", "%v", err)
	}
	return nil
}

// ServeHTTP adds a socket of HTTP, as --http does.
func (c *Config) ServeHTTP(address string, origin Origin) {
	c.Sockets = append(c.Sockets, Socket{Protocol: protocolRouter, Address: address, Origin: origin})
}

// Routes tells whether the socket is one of uWSGI's HTTP router, which is told of in other words.
func (s Socket) Routes() bool { return s.Protocol == protocolRouter || s.Protocol == protocolToHTTPS }

// Protocols that only their own options stand for.
const (
	protocolRouter  = "http-router"
	protocolToHTTPS = "http-to-https"
)
