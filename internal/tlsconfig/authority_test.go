package tlsconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"envoxyd/internal/tlsspec"
)

// authority signs certificates; one without a parent is a root.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	der  []byte
	key  *ecdsa.PrivateKey
	up   *authority
}

var serial int64

func newAuthority(t *testing.T, name string, parent *authority) *authority {
	t.Helper()
	return sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, parent)
}

// leaf makes a certificate for a host, or for a client of that name.
func (a *authority) leaf(name string) *authority {
	a.t.Helper()
	return sign(a.t, &x509.Certificate{Subject: pkix.Name{Country: []string{"DE"}, CommonName: name}, DNSNames: []string{name}}, a)
}

func sign(t *testing.T, template *x509.Certificate, parent *authority) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial++
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(serial), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	a := &authority{t: t, key: key, up: parent}
	issuer, signer := template, key
	if parent != nil {
		issuer, signer = parent.cert, parent.key
	}
	if a.der, err = x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, signer); err == nil {
		a.cert, err = x509.ParseCertificate(a.der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// pem is the certificate, and those between it and its root.
func (a *authority) pem() []byte {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.der})
	if a.up != nil && a.up.up != nil {
		text = append(text, a.up.pem()...)
	}
	return text
}

func (a *authority) keyPEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (a *authority) pair() tls.Certificate {
	pair, err := tls.X509KeyPair(a.pem(), a.keyPEM())
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// write puts NAME.crt and NAME.key into a directory.
func (a *authority) write(dir, name string) {
	a.t.Helper()
	for suffix, text := range map[string][]byte{".crt": a.pem(), ".key": a.keyPEM()} {
		if err := os.WriteFile(filepath.Join(dir, name+suffix), text, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// house is a vault, and what a socket is told.
type house struct {
	*tlsspec.Socket
	t        *testing.T
	vault    *Vault
	contents Contents
	log      []string
}

func newHouse(t *testing.T, fallback *authority) *house {
	t.Helper()
	file, err := NewVaultFile()
	if err != nil {
		t.Fatal(err)
	}
	vault, err := OpenVault(int(file.Fd()))
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vault.note.Close() })
	h := &house{t: t, vault: vault, contents: Contents{Files: map[string][]byte{}}, Socket: &tlsspec.Socket{
		Context: "http :443", MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, Depth: 1, HTTP2: true}}
	h.contents.Rotate(time.Now())
	h.Certificate = h.add("fallback", fallback)
	h.save()
	return h
}

// add puts a certificate into the vault's next contents.
func (h *house) add(name string, a *authority) tlsspec.Certificate {
	h.contents.Files["/"+name+".crt"], h.contents.Files["/"+name+".key"] = a.pem(), a.keyPEM()
	return tlsspec.Certificate{Cert: "/" + name + ".crt", Key: "/" + name + ".key"}
}

func (h *house) addCA(name string, a *authority) string {
	h.contents.Files["/"+name+".ca"] = a.pem()
	return "/" + name + ".ca"
}

func (h *house) save() {
	h.t.Helper()
	if err := h.vault.Write(h.contents); err != nil {
		h.t.Fatal(err)
	}
}

// store is what one worker has.
func (h *house) store(protocols ...string) *Store {
	h.t.Helper()
	s, err := New(h.Socket, h.vault, protocols, func(format string, args ...any) { h.log = append(h.log, format) })
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// client is what a client has; its sessions are kept by it.
func client(name string) *tls.Config {
	return &tls.Config{ServerName: name, InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
}

// meeting is what both sides have found.
type meeting struct {
	client, server       tls.ConnectionState
	clientErr, serverErr error
}

// host is whose certificate the client was shown.
func (m *meeting) host() string {
	if m.clientErr != nil || len(m.client.PeerCertificates) == 0 {
		return "none"
	}
	return m.client.PeerCertificates[0].Subject.CommonName
}

// meet shakes hands, and has the server send a byte, behind which the client has its ticket.
func meet(t *testing.T, s *Store, config *tls.Config) (m meeting) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := listener.Accept()
		if err != nil {
			m.serverErr = err
			return
		}
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
		conn := tls.Server(raw, s.Config())
		if m.serverErr = conn.Handshake(); m.serverErr == nil {
			m.server = conn.ConnectionState()
			_, m.serverErr = conn.Write([]byte("x"))
			_ = conn.Close()
		}
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
	conn := tls.Client(raw, config)
	if m.clientErr = conn.Handshake(); m.clientErr == nil {
		m.client = conn.ConnectionState()
		_, m.clientErr = io.ReadFull(conn, make([]byte, 1))
	}
	_ = raw.Close()
	<-done
	return m
}
