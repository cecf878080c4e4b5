// Package tlsspec is what the master decides about TLS, in the words in which workers are told. Files stand for names within
// the vault of internal/tlsconfig: no key is in here.
package tlsspec

// Certificate is a certificate, and how a client is dealt with that is shown it.
type Certificate struct {
	Cert     string   `json:"cert"`                // absolute path: the certificate and those between it and the root, PEM
	Key      string   `json:"key"`                 // likewise: the private key
	Ciphers  []uint16 `json:"ciphers,omitempty"`   // of TLS 1.2 and older; none: crypto/tls's own
	ClientCA string   `json:"client_ca,omitempty"` // whose certificates clients may show, PEM; "": clients are not asked
	Required bool     `json:"required,omitempty"`  // clients have to show one
}

// Name is a certificate for clients that ask for a host.
type Name struct {
	Name    string `json:"name"`              // a host, *.DOMAIN, or a regular expression
	Pattern bool   `json:"pattern,omitempty"` // it is a regular expression
	Certificate
}

// Socket is all about TLS on one listening socket.
type Socket struct {
	Certificate          // of clients that ask for no host, or for one that is unknown
	Names       []Name   `json:"names,omitempty"`
	Dir         string   `json:"dir,omitempty"`         // absolute: HOST.crt, HOST.key, HOST.ca, which workers read themselves
	DirCiphers  []uint16 `json:"dir_ciphers,omitempty"` // of the certificates in there
	Context     string   `json:"context"`               // sessions are resumed where it is the same
	MinVersion  uint16   `json:"min_version"`           // as crypto/tls numbers them
	MaxVersion  uint16   `json:"max_version"`
	NoTickets   bool     `json:"no_tickets,omitempty"`  // sessions are not resumed
	Depth       int      `json:"depth"`                 // most certificates between a client's and its root
	Verbose     bool     `json:"verbose,omitempty"`     // failed handshakes are logged
	ExportCert  bool     `json:"export_cert,omitempty"` // HTTPS_CC
	HTTP2       bool     `json:"http2,omitempty"`       // may be agreed on, where HTTP is spoken
}

// Files are the paths of all files that the master reads for the socket, without repetition.
func (s *Socket) Files() (paths []string) {
	seen := map[string]bool{"": true}
	add := func(c *Certificate) {
		for _, path := range []string{c.Cert, c.Key, c.ClientCA} {
			if !seen[path] {
				seen[path] = true
				paths = append(paths, path)
			}
		}
	}
	add(&s.Certificate)
	for i := range s.Names {
		add(&s.Names[i].Certificate)
	}
	return paths
}
