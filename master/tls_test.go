package master

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/internal/tlsconfig"
	"envoxyd/uwsgiopts"
)

// writeCertificate puts NAME.crt and NAME.key into a directory.
func writeCertificate(t *testing.T, dir, name string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for suffix, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: cert}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name+suffix), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// newTLSMaster has one socket with the certificate that is at "site" in the returned directory.
func newTLSMaster(t *testing.T) (*testMaster, string) {
	t.Helper()
	tm := newTestMaster(t, 1)
	dir := tm.cfg.StartDir
	writeCertificate(t, dir, "site", 1)
	tm.cfg.TLSConfig = uwsgiopts.TLSConfig{VerifyDepth: 1}
	tm.cfg.Sockets[0].TLS = &uwsgiopts.Certificate{Cert: "site.crt", Key: "site.key"}
	return tm, dir
}

// startTLS brings the first generation up, as prepare would have it.
func (tm *testMaster) startTLS() *generation {
	tm.t.Helper()
	material, err := tm.readCertificates(tm.cfg)
	if err != nil {
		tm.t.Fatal(err)
	}
	p := &preparation{cfg: tm.cfg, hooks: tm.hooks, material: material}
	if err := tm.startNext(p); err != nil {
		tm.t.Fatal(err)
	}
	g := tm.master.next
	tm.comeUp(g)
	return g
}

func (tm *testMaster) vaultContents() tlsconfig.Contents {
	tm.t.Helper()
	c, err := tm.certificates.vault.Read()
	if err != nil {
		tm.t.Fatal(err)
	}
	return c
}

func (tm *testMaster) holds(path string) bool {
	tm.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tm.t.Fatal(err)
	}
	return string(tm.vaultContents().Files[path]) == string(text)
}

// look has the master look at the files as often as it takes to read them, and waits until it has.
func (tm *testMaster) look() {
	tm.watchCertificates()
	tm.watchCertificates()
	tm.turn("files are read", func() bool { return !tm.certificates.reading })
}

func TestChangedCertificatesReachTheWorkers(t *testing.T) {
	tm, dir := newTLSMaster(t)
	tm.startTLS()
	cert, key := filepath.Join(dir, "site.crt"), filepath.Join(dir, "site.key")
	if !tm.holds(cert) || !tm.holds(key) {
		t.Fatal("the certificate is not in the vault")
	}
	before := tm.vaultContents()
	writeCertificate(t, dir, "site", 2)
	tm.watchCertificates()
	if tm.certificates.reading {
		t.Error("files are read while they change")
	}
	tm.look()
	if !tm.holds(cert) || !tm.holds(key) || string(tm.vaultContents().Seeds[0]) != string(before.Seeds[0]) {
		t.Error("the new certificate is not in the vault")
	}
	writeCertificate(t, dir, "other", 3)
	if err := os.Rename(filepath.Join(dir, "other.key"), key); err != nil { // half of a change
		t.Fatal(err)
	}
	tm.look()
	if !tm.holds(cert) || tm.holds(key) {
		t.Error("a key of another certificate is in the vault")
	}
	if err := os.Rename(filepath.Join(dir, "other.crt"), cert); err != nil {
		t.Fatal(err)
	}
	tm.look()
	if !tm.holds(cert) || !tm.holds(key) {
		t.Error("the other half has not been read")
	}
}

func TestTicketKeysAreReplacedInTime(t *testing.T) {
	tm, _ := newTLSMaster(t)
	now := time.Now()
	tm.sys.now = func() time.Time { return now }
	tm.startTLS()
	first := tm.vaultContents().Seeds
	for _, step := range []struct {
		later time.Duration
		seeds int
	}{{time.Hour, 1}, {22 * time.Hour, 1}, {time.Hour, 2}, {24 * time.Hour, 3}, {24 * time.Hour, 3}} {
		now = now.Add(step.later)
		tm.watchCertificates()
		if got := tm.vaultContents().Seeds; len(got) != step.seeds {
			t.Errorf("%v later there are %d seeds, want %d", step.later, len(got), step.seeds)
		}
	}
	for _, seed := range tm.vaultContents().Seeds {
		if string(seed) == string(first[0]) {
			t.Error("the first seed is of use for more than three days")
		}
	}
}

func TestAReloadChangesTheVault(t *testing.T) {
	tm, dir := newTLSMaster(t)
	tm.startTLS()
	seeds := tm.vaultContents().Seeds
	site := filepath.Join(dir, "site.crt")
	writeCertificate(t, dir, "next", 5)
	cfg := *tm.cfg
	cfg.Sockets = []uwsgiopts.Socket{{Protocol: "http", Address: "127.0.0.1:0", TLS: &uwsgiopts.Certificate{Cert: "next.crt", Key: "next.key"}}}
	tm.next = &cfg
	tm.reload(false)
	tm.turn("the next generation loads", func() bool { return tm.master.next != nil })
	if !tm.holds(site) || !tm.holds(filepath.Join(dir, "next.crt")) {
		t.Error("while both generations need theirs, one is not there")
	}
	tm.comeUp(tm.master.next)
	now := tm.vaultContents()
	if _, there := now.Files[site]; there || len(now.Files) != 2 || string(now.Seeds[0]) != string(seeds[0]) {
		t.Errorf("after the reload there are %d files, the old one: %t", len(now.Files), there)
	}
	plain := *tm.cfg
	plain.Sockets = []uwsgiopts.Socket{{Protocol: "http", Address: "127.0.0.1:0"}}
	tm.next = &plain
	tm.reload(false)
	tm.turn("one without TLS loads", func() bool { return tm.master.next != nil })
	tm.comeUp(tm.master.next)
	if files := tm.vaultContents().Files; len(files) != 0 {
		t.Errorf("nobody needs them, and %d files are in memory", len(files))
	}
}

func TestAReloadWithABrokenCertificateFails(t *testing.T) {
	tm, dir := newTLSMaster(t)
	g := tm.startTLS()
	if err := os.WriteFile(filepath.Join(dir, "site.key"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	tm.reload(false)
	tm.turn("the reload fails", func() bool { return !tm.reloads.preparing })
	if tm.master.next != nil || tm.current != g || tm.holds(filepath.Join(dir, "site.key")) {
		t.Error("a key that is none is taken")
	}
}

// The master has read a key as root, and may not any more.
func TestFilesThatMayNotBeReadAnyMore(t *testing.T) {
	tm, dir := newTLSMaster(t)
	key := filepath.Join(dir, "site.key")
	found, notes, problems := readMaterial(tm.cfg, nil)
	if len(notes)+len(problems) > 0 {
		t.Fatal(notes, problems)
	}
	if os.Geteuid() == 0 {
		t.Skip("root may read everything") // compat_test/test_tls.py has a server that drops its privileges
	}
	if err := os.Chmod(key, 0); err != nil {
		t.Fatal(err)
	}
	again, notes, problems := readMaterial(tm.cfg, found.files)
	if len(problems) > 0 || len(notes) != 1 || !strings.Contains(notes[0], key) || !sameFiles(again.files, found.files) {
		t.Errorf("%v, %v", notes, problems)
	}
	if _, _, problems := readMaterial(tm.cfg, nil); len(problems) != 1 {
		t.Errorf("without what was read before: %v", problems)
	}
}

func TestProblemsNameFileAndPlace(t *testing.T) {
	tm, dir := newTLSMaster(t)
	origin := uwsgiopts.Origin{Source: "site.ini", Line: 3}
	for name, change := range map[string]func(cfg *uwsgiopts.Config){
		"site.ini:3: socket 127.0.0.1:0: open " + dir + "/none: no such file": func(cfg *uwsgiopts.Config) {
			cfg.Sockets = []uwsgiopts.Socket{{Address: "127.0.0.1:0", Origin: origin, TLS: &uwsgiopts.Certificate{Cert: "none", Key: "site.key"}}}
		},
		"site.ini:3: socket 127.0.0.1:0: open /none/ca: no such file": func(cfg *uwsgiopts.Config) {
			cfg.Sockets = []uwsgiopts.Socket{{Address: "127.0.0.1:0", Origin: origin, TLS: &uwsgiopts.Certificate{Cert: "site.crt", Key: "site.key", ClientCA: "/none/ca"}}}
		},
		"site.ini:3: SNI a.test: key " + dir + "/site.crt: there is no private key": func(cfg *uwsgiopts.Config) {
			cfg.SNI = []uwsgiopts.SNI{{Name: "a.test", Origin: origin, Certificate: uwsgiopts.Certificate{Cert: "site.crt", Key: "site.crt"}}}
		},
		"site.ini:3: SNI (: regular expression": func(cfg *uwsgiopts.Config) {
			cfg.SNI = []uwsgiopts.SNI{{Name: "(", Pattern: true, Origin: origin, Certificate: uwsgiopts.Certificate{Cert: "site.crt", Key: "site.key"}}}
		},
		"sni-dir: stat " + dir + "/none: no such file": func(cfg *uwsgiopts.Config) { cfg.SNIDir = "none" },
		"sni-dir: open " + dir + "/site.crt: not a":    func(cfg *uwsgiopts.Config) { cfg.SNIDir = "site.crt" },
	} {
		cfg := *tm.cfg
		change(&cfg)
		if _, _, problems := readMaterial(&cfg, nil); len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), name) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}
