package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certify puts a certificate for 127.0.0.1 into the server's directory; the path of it.
func (p *private) certify() string {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "private"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		p.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	data := filepath.Join(p.dir, "data")
	for name, block := range map[string]*pem.Block{"server.crt": {Type: "CERTIFICATE", Bytes: certificate}, "server.key": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		path := filepath.Join(data, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			p.t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if out, err := exec.Command("chown", "postgres", path).CombinedOutput(); err != nil {
				p.t.Fatalf("chown: %s", out)
			}
		}
	}
	trusted := filepath.Join(p.dir, "root.crt")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return trusted
}

func TestSSLModes(t *testing.T) {
	p := startPrivate(t)
	trusted := p.certify()
	plain := service(t, p, map[string]any{"dsn": "postgresql://?sslmode=disable"})
	required := map[string]any{"dsn": "postgresql://?sslmode=require&application_name=victim"}
	if _, err := ask(service(t, p, required), "select 1"); err == nil {
		t.Error("a server without TLS was taken for one with it")
	}
	for _, sql := range []string{"alter system set ssl to on", "select pg_reload_conf()"} {
		if _, err := ask(plain, sql); err != nil {
			t.Fatal(err)
		}
	}
	encrypted := "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
	secure := service(t, p, required)
	eventually(t, "the server takes TLS", func() bool { _, err := ask(secure, "select 1"); return err == nil })
	mustBeText(t, secure, "true", encrypted)
	mustBeText(t, plain, "false", encrypted)
	mustBeText(t, service(t, p, map[string]any{"dsn": "postgresql://?sslmode=verify-full&sslrootcert=" + trusted}), "true", encrypted)
	_, err := ask(service(t, p, map[string]any{"dsn": "postgresql://?sslmode=verify-full"}), "select 1")
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody has signed: %v", err)
	}
	for range 5 { // a session that the server ends is noticed under TLS too
		if _, err := ask(plain, "select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = 'victim'"); err != nil {
			t.Fatal(err)
		}
		mustBeText(t, secure, "1", "1")
	}
	mustBeText(t, secure, strings.Repeat("x", 1<<20), "repeat('x', 1048576)")
}
