package tlsconfig

import (
	"bytes"
	"crypto/tls"
	"strings"
	"sync/atomic"

	"envoxyd/internal/tlsspec"
)

// Guard tells, for a connection whose client has asked for serverName in its handshake, which requests do not belong there: the host
// that they name demands a client certificate that this handshake has not asked for (RFC 9110, 7.4 and 15.5.20). Nil: there is no such
// host. It may be called by several goroutines.
func (s *Store) Guard(serverName string) func(host []byte) (misdirected bool) {
	if !s.mixed() {
		return nil
	}
	shown := s.find(strings.ToLower(serverName))
	var fine atomic.Pointer[[]byte] // the last one that did
	return func(host []byte) bool {
		if last := fine.Load(); last != nil && bytes.Equal(*last, host) {
			return false
		}
		if demandsMore(s.find(hostOf(host)), shown) {
			return true
		}
		last := bytes.Clone(host)
		fine.Store(&last)
		return false
	}
}

// mixed tells whether hosts of the socket can demand different client certificates.
func (s *Store) mixed() bool {
	if s.dir != nil || s.named != nil {
		return true
	}
	same := func(a, b *tlsspec.Certificate) bool { return a.ClientCA == b.ClientCA && a.Required == b.Required }
	for i := range s.spec.Names {
		if !same(&s.spec.Names[i].Certificate, &s.spec.Certificate) {
			return true
		}
	}
	return false
}

// demandsMore tells whether a client has to prove more for one configuration than it has for another.
func demandsMore(one, than *tls.Config) bool {
	if one == than || one.ClientAuth == tls.NoClientCert {
		return false
	}
	return than.ClientAuth < one.ClientAuth || !one.ClientCAs.Equal(than.ClientCAs)
}

// hostOf is the name in a Host field, in lower case.
func hostOf(field []byte) string {
	if colon := bytes.LastIndexByte(field, ':'); colon >= 0 && bytes.IndexByte(field[colon:], ']') < 0 {
		field = field[:colon]
	}
	return strings.TrimSuffix(strings.ToLower(string(field)), ".")
}
