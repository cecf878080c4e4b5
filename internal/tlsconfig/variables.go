package tlsconfig

import (
	"crypto/tls"
	"encoding/pem"

	"envoxyd/internal/openssl"
	"envoxyd/protocol/uwsgi"
)

// AppendVariables appends variables to dst, in packet form. A value that no packet can hold is left out.
func AppendVariables(dst []byte, state *tls.ConnectionState, export bool) []byte {
	for _, pair := range variables(state, export) {
		if uwsgi.Fits(len(pair[1])) {
			dst = uwsgi.AppendVar(dst, pair[0], pair[1])
		}
	}
	return dst
}

// variables are the request variables that uWSGI sets for a connection of TLS: HTTPS, and of a client that has shown a
// certificate, HTTPS_DN (its subject on one line) and HTTPS_CLIENT_CERTIFICATE (DER); with export HTTPS_CC (PEM). They are the same
// for all requests of the connection. Only a certificate that was verified is told of. Values are bytes; those of
// HTTPS_CLIENT_CERTIFICATE and the line breaks of HTTPS_CC have no place in a header.
func variables(state *tls.ConnectionState, export bool) [][2]string {
	vars := [][2]string{{"HTTPS", "on"}}
	if len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return vars
	}
	client := state.PeerCertificates[0]
	vars = append(vars, [2]string{"HTTPS_CLIENT_CERTIFICATE", string(client.Raw)})
	if name, err := openssl.OneLine(client.RawSubject); err == nil { // a subject that was verified can be read
		vars = append(vars, [2]string{"HTTPS_DN", name})
	}
	if export {
		vars = append(vars, [2]string{"HTTPS_CC", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client.Raw}))})
	}
	return vars
}
