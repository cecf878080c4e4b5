package tlsconfig

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"envoxyd/internal/openssl"
	"envoxyd/internal/tlsspec"
)

// keyPair reads a certificate and its key. Errors say which of the two is wrong, and nothing of what is in it.
func keyPair(c *tlsspec.Certificate, files map[string][]byte) (tls.Certificate, error) {
	var none tls.Certificate
	cert, there := files[c.Cert]
	if !there {
		return none, fmt.Errorf("certificate %s %w", c.Cert, errAbsent)
	}
	key, there := files[c.Key]
	if !there {
		return none, fmt.Errorf("key %s %w", c.Key, errAbsent)
	}
	if !hasBlock(cert, "CERTIFICATE") {
		return none, fmt.Errorf("certificate %s: there is no certificate in PEM form in it", c.Cert)
	}
	switch encrypted, found := privateKey(key); {
	case encrypted:
		return none, fmt.Errorf("key %s: it is encrypted, and nobody is asked for its passphrase: decrypt it (openssl pkey -in %[1]s -out …)", c.Key)
	case !found:
		return none, fmt.Errorf("key %s: there is no private key in PEM form in it", c.Key)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return none, fmt.Errorf("certificate %s, key %s: %w", c.Cert, c.Key, err)
	}
	return pair, nil
}

func hasBlock(text []byte, kind string) bool {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == kind {
			return true
		}
	}
	return false
}

// privateKey finds the first private key.
func privateKey(text []byte) (encrypted, found bool) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return strings.HasPrefix(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"), true
		}
	}
	return false, false
}

// next is what ALPN may agree on with one certificate's ciphers.
func (s *Store) next(c *tlsspec.Certificate) []string {
	if s.spec.HTTP2 && openssl.HTTP2(c.Ciphers) {
		return s.protocols
	}
	return slices.DeleteFunc(slices.Clone(s.protocols), func(p string) bool { return p == "h2" })
}
