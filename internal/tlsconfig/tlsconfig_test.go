package tlsconfig

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/internal/tlsspec"
)

func TestNamesChooseCertificates(t *testing.T) {
	root := newAuthority(t, "root", nil)
	h := newHouse(t, root.leaf("fallback"))
	for _, n := range []tlsspec.Name{{Name: "A.test"}, {Name: "*.wild.test"}, {Name: "exact.wild.test"}, {Name: `^x[0-9]+\.re\.test$`, Pattern: true}, {Name: "a.test"}} {
		n.Certificate = h.add("cert of "+n.Name, root.leaf(n.Name))
		h.Names = append(h.Names, n)
	}
	h.save()
	s := h.store()
	for name, want := range map[string]string{
		"": "fallback", "a.test": "A.test", "A.TEST": "A.test", "b.wild.test": "*.wild.test", "exact.wild.test": "exact.wild.test", "b.c.wild.test": "fallback",
		"wild.test": "fallback", "x12.re.test": `^x[0-9]+\.re\.test$`, "X1.RE.test": `^x[0-9]+\.re\.test$`, "x.re.test": "fallback", "none.test": "fallback",
	} {
		config := client(name)
		m := meet(t, s, config)
		if got := m.host(); got != want {
			t.Errorf("%q: %s, want %s (%v, %v)", name, got, want, m.clientErr, m.serverErr)
		}
	}
}

func TestVersionsAndCiphers(t *testing.T) {
	h := newHouse(t, newAuthority(t, "root", nil).leaf("h"))
	h.Ciphers = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	s := h.store()
	for _, c := range []struct {
		version uint16
		suite   uint16
		works   bool
	}{
		{tls.VersionTLS11, 0, false}, {tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
		{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, false}, {tls.VersionTLS13, 0, true},
	} {
		config := client("h")
		config.MinVersion, config.MaxVersion = c.version, c.version
		if c.suite != 0 {
			config.CipherSuites = []uint16{c.suite}
		}
		if m := meet(t, s, config); (m.clientErr == nil) != c.works {
			t.Errorf("version %#x, suite %#x: %v, %v", c.version, c.suite, m.clientErr, m.serverErr)
		}
	}
}

func TestALPN(t *testing.T) {
	for _, c := range []struct {
		http2   bool
		ciphers []uint16
		ours    []string
		theirs  []string
		want    string
	}{
		{true, nil, []string{"h2", "http/1.1"}, []string{"h2", "http/1.1"}, "h2"},
		{false, nil, []string{"h2", "http/1.1"}, []string{"h2", "http/1.1"}, "http/1.1"},
		{true, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}, []string{"h2", "http/1.1"}, []string{"h2", "http/1.1"}, "http/1.1"},
		{true, nil, []string{"http/1.1"}, []string{"h2", "http/1.1"}, "http/1.1"},
		{true, nil, nil, []string{"h2"}, ""},
		{true, nil, []string{"h2", "http/1.1"}, nil, ""},
	} {
		h := newHouse(t, newAuthority(t, "root", nil).leaf("h"))
		h.HTTP2, h.Ciphers = c.http2, c.ciphers
		config := client("h")
		config.NextProtos = c.theirs
		if m := meet(t, h.store(c.ours...), config); m.clientErr != nil || m.client.NegotiatedProtocol != c.want {
			t.Errorf("%+v: %q, %v", c, m.client.NegotiatedProtocol, m.clientErr)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	root, stranger := newAuthority(t, "clients", nil), newAuthority(t, "strangers", nil)
	first := newAuthority(t, "first", root)
	second := newAuthority(t, "second", first)
	h := newHouse(t, newAuthority(t, "root", nil).leaf("h"))
	h.ClientCA = h.addCA("clients", root)
	h.save()
	for _, required := range []bool{false, true} {
		h.Required = required
		s := h.store()
		for name, c := range map[string]struct {
			from  *authority
			works bool
			dn    string
		}{
			"none": {nil, !required, ""}, "ours": {root.leaf("c"), true, "/C=DE/CN=c"}, "of a stranger": {stranger.leaf("c"), false, ""},
			"one between": {first.leaf("c1"), true, "/C=DE/CN=c1"}, "two between": {second.leaf("c2"), false, ""},
		} {
			config := client("h")
			if c.from != nil {
				pair := c.from.pair()
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
			m := meet(t, s, config)
			if (m.serverErr == nil) != c.works {
				t.Errorf("%s, required %t: %v, %v", name, required, m.clientErr, m.serverErr)
				continue
			}
			dn := ""
			for _, v := range variables(&m.server, false) {
				if v[0] == "HTTPS_DN" {
					dn = v[1]
				}
			}
			if c.works && dn != c.dn {
				t.Errorf("%s: HTTPS_DN is %q", name, dn)
			}
		}
	}
}

func TestVariables(t *testing.T) {
	root := newAuthority(t, "clients", nil)
	h := newHouse(t, newAuthority(t, "root", nil).leaf("h"))
	h.ClientCA = h.addCA("clients", root)
	h.save()
	who := root.leaf("c")
	config := client("h")
	config.Certificates = []tls.Certificate{who.pair()}
	m := meet(t, h.store(), config)
	plain := map[string]string{"HTTPS": "on", "HTTPS_DN": "/C=DE/CN=c", "HTTPS_CLIENT_CERTIFICATE": string(who.der)}
	exported := map[string]string{"HTTPS_CC": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: who.der}))}
	for name, value := range plain {
		exported[name] = value
	}
	for export, want := range map[bool]map[string]string{false: plain, true: exported} {
		got := map[string]string{}
		for _, v := range variables(&m.server, export) {
			got[v[0]] = v[1]
		}
		for name := range exported {
			if got[name] != want[name] {
				t.Errorf("export %t: %s is %q", export, name, got[name])
			}
		}
	}
	unverified := m.server
	unverified.VerifiedChains = nil
	if got := variables(&unverified, true); len(got) != 1 {
		t.Errorf("of a certificate that nobody has verified: %q", got)
	}
}

// Another worker, of the same instance or of its next generation, resumes.
func TestSessionsAreResumedAtOtherWorkers(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		h := newHouse(t, newAuthority(t, "root", nil).leaf("h"))
		config := client("h")
		config.MaxVersion = version
		one, other := h.store(), h.store()
		if m := meet(t, one, config); m.clientErr != nil || m.client.DidResume {
			t.Fatalf("%#x: the first: %v, resumed %t", version, m.clientErr, m.client.DidResume)
		}
		if m := meet(t, other, config); m.clientErr != nil || !m.client.DidResume {
			t.Errorf("%#x: another worker: %v, resumed %t", version, m.clientErr, m.client.DidResume)
		}
		now := time.Now()
		for rotation, resumes := range []bool{true, true, true, false} { // keys that were rotated so often
			client := client("h")
			client.MaxVersion = version
			if m := meet(t, one, client); m.clientErr != nil {
				t.Fatal(m.clientErr)
			}
			for range rotation {
				now = now.Add(seedPeriod)
				if !h.contents.Rotate(now) || h.contents.Rotate(now.Add(seedPeriod-time.Second)) {
					t.Fatal("seeds are not rotated once a period")
				}
			}
			h.save()
			if m := meet(t, other, client); m.clientErr != nil || m.client.DidResume != resumes {
				t.Errorf("%#x: after %d rotations: %v, resumed %t", version, rotation, m.clientErr, m.client.DidResume)
			}
		}
		h.NoTickets = true
		s := h.store()
		fresh := client("h")
		fresh.MaxVersion = version
		for range 2 {
			if m := meet(t, s, fresh); m.clientErr != nil || m.client.DidResume {
				t.Errorf("%#x without tickets: %v, resumed %t", version, m.clientErr, m.client.DidResume)
			}
		}
	}
}

// A session of one host does not open another one, whose clients have to show a certificate, or one of another CA.
func TestSessionsAreOfOneHostAndSocket(t *testing.T) {
	root, clients, others := newAuthority(t, "root", nil), newAuthority(t, "clients", nil), newAuthority(t, "others", nil)
	h := newHouse(t, root.leaf("fallback"))
	open := tlsspec.Name{Name: "open.test", Certificate: h.add("open", root.leaf("open.test"))}
	guarded := tlsspec.Name{Name: "guarded.test", Certificate: h.add("guarded", root.leaf("guarded.test"))}
	other := tlsspec.Name{Name: "other.test", Certificate: h.add("other", root.leaf("other.test"))}
	guarded.ClientCA, guarded.Required = h.addCA("clients", clients), true
	other.ClientCA, other.Required = h.addCA("others", others), true
	h.Names = []tlsspec.Name{open, guarded, other}
	h.save()
	s := h.store()
	pair := clients.leaf("c").pair()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			first, second  string
			works, resumed bool
		}{
			{"open.test", "guarded.test", false, false}, {"guarded.test", "other.test", false, false}, {"guarded.test", "guarded.test", true, true},
			{"open.test", "fallback", true, false}, {"open.test", "open.test", true, true},
		} {
			config := client(c.first)
			config.MaxVersion = version
			shared := &oneSession{}
			config.ClientSessionCache = shared
			if c.first == "guarded.test" {
				config.Certificates = []tls.Certificate{pair}
			}
			if m := meet(t, s, config); m.clientErr != nil || shared.state == nil {
				t.Fatalf("%s: %v, ticket %v", c.first, m.clientErr, shared.state)
			}
			again := config.Clone()
			again.ServerName, again.Certificates = c.second, nil
			if m := meet(t, s, again); (m.serverErr == nil) != c.works || m.server.DidResume != c.resumed {
				t.Errorf("%#x, from %s to %s: %v, resumed %t", version, c.first, c.second, m.serverErr, m.server.DidResume)
			}
		}
	}
	elsewhere := newHouse(t, root.leaf("fallback"))
	elsewhere.contents, elsewhere.Context = h.contents, "http :8443"
	elsewhere.save()
	config := client("")
	config.ClientSessionCache = &oneSession{}
	if m := meet(t, h.store(), config); m.clientErr != nil {
		t.Fatal(m.clientErr)
	}
	if m := meet(t, elsewhere.store(), config); m.clientErr != nil || m.client.DidResume {
		t.Errorf("at another socket: %v, resumed %t", m.clientErr, m.client.DidResume)
	}
}

// oneSession has the last session, for whatever host.
type oneSession struct{ state *tls.ClientSessionState }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool)  { return o.state, o.state != nil }
func (o *oneSession) Put(_ string, state *tls.ClientSessionState) { o.state = state }

func TestAChangedVaultIsFollowed(t *testing.T) {
	root := newAuthority(t, "root", nil)
	h := newHouse(t, root.leaf("before"))
	s := h.store()
	expect := func(what, want string) {
		t.Helper()
		m := meet(t, s, client("h"))
		if got := m.host(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	expect("at first", "before")
	h.add("fallback", root.leaf("after"))
	expect("before it is written", "before")
	h.save()
	expect("a change", "after")
	h.contents.Files["/fallback.key"] = root.leaf("x").keyPEM()
	h.save()
	expect("a key of another certificate", "after")
	expect("and once more", "after")
	if len(h.log) != 1 {
		t.Errorf("a broken change is logged %d times", len(h.log))
	}
	whole := h.contents
	h.contents.Files = map[string][]byte{}
	h.save()
	expect("what another generation has left", "after")
	if len(h.log) != 1 {
		t.Errorf("a generation's end is logged: %q", h.log)
	}
	h.contents = whole
	h.add("fallback", root.leaf("healed"))
	h.save()
	expect("when it is right again", "healed")
}

// TestAHostWhoseClientsCannotBeCheckedIsNotServed: the certificate of another host, which asks for none, is no way in.
func TestAHostWhoseClientsCannotBeCheckedIsNotServed(t *testing.T) {
	root := newAuthority(t, "root", nil)
	dir := t.TempDir()
	root.leaf("a").write(dir, "a.test")
	if err := os.WriteFile(filepath.Join(dir, "a.test.ca"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, root.leaf("fallback"))
	h.Dir = dir
	s := h.store()
	for range 2 { // read, and known to be broken
		if m := meet(t, s, client("a.test")); m.serverErr == nil {
			t.Errorf("the handshake succeeds with %s", m.host())
		}
	}
	if !s.Guard("fallback")([]byte("a.test")) {
		t.Error("a request for it is served on another host's connection")
	}
	if m := meet(t, s, client("none.test")); m.host() != "fallback" {
		t.Errorf("a host without files: %v", m.serverErr)
	}
}

func TestADirectoryOfCertificates(t *testing.T) {
	root, clients := newAuthority(t, "root", nil), newAuthority(t, "clients", nil)
	above := t.TempDir()
	dir := filepath.Join(above, "certificates")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	root.leaf("above").write(above, "above.test")
	root.leaf("a1").write(dir, "a.test")
	h := newHouse(t, root.leaf("fallback"))
	h.Dir = dir
	s := h.store()
	now := time.Now()
	s.dir.now = func() time.Time { return now }
	expect := func(name, want string) {
		t.Helper()
		m := meet(t, s, client(name))
		if got := m.host(); got != want {
			t.Errorf("%s: %s, want %s (%v, %v)", name, got, want, m.clientErr, m.serverErr)
		}
	}
	expect("a.test", "a1")
	expect("A.test", "a1")
	expect("none.test", "fallback")
	expect("../above.test", "fallback")
	expect(above+"/above.test", "fallback")
	later := func() { now = now.Add(dirPause) }

	root.leaf("a2").write(dir, "a.test")
	expect("a.test", "a1")
	later()
	expect("a.test", "a2")

	if err := os.WriteFile(filepath.Join(dir, "a.test.key"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	expect("a.test", "a2")
	later()
	expect("a.test", "a2")
	if len(h.log) != 1 {
		t.Errorf("a broken key is logged %d times", len(h.log))
	}
	root.leaf("a3").write(dir, "a.test")
	later()
	expect("a.test", "a3")

	if err := os.WriteFile(filepath.Join(dir, "a.test.ca"), clients.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	config := client("a.test")
	config.Certificates = []tls.Certificate{clients.leaf("c").pair()}
	if m := meet(t, s, config); len(m.server.VerifiedChains) != 1 {
		t.Errorf("a client's certificate: %v, %v", m.server.VerifiedChains, m.serverErr)
	}
	h.contents.Rotate(now.Add(seedPeriod)) // its sessions follow, too
	h.save()
	if m := meet(t, h.store(), config); !m.client.DidResume {
		t.Errorf("another worker does not resume: %v", m.clientErr)
	}
	if len(s.dir.hosts) != 1 {
		t.Errorf("names that are not there are kept: %v", s.dir.hosts)
	}
	for _, path := range []string{"a.test.crt", "a.test.key", "a.test.ca"} {
		if err := os.Remove(filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	later()
	expect("a.test", "a3")
}

func TestCertificatesThatOthersName(t *testing.T) {
	root, clients, dir := newAuthority(t, "root", nil), newAuthority(t, "clients", nil), t.TempDir()
	root.leaf("first").write(dir, "first")
	root.leaf("second").write(dir, "second")
	if err := os.WriteFile(filepath.Join(dir, "ca"), clients.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, root.leaf("fallback"))
	h.Names = []tlsspec.Name{{Name: "known.test", Certificate: h.add("known", root.leaf("known"))}}
	h.save()
	s := h.store()
	named := map[string]tlsspec.Certificate{}
	s.AlsoNamed("subscription", func(host string) (c tlsspec.Certificate, there bool) {
		c, there = named[host]
		return c, there
	})
	files := func(name, ca string, required bool) (c tlsspec.Certificate) {
		c.Cert, c.Key, c.Required = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"), required
		if ca != "" {
			c.ClientCA = filepath.Join(dir, ca)
		}
		return c
	}
	expect := func(what, name, want string) {
		t.Helper()
		if m := meet(t, s, client(name)); m.host() != want {
			t.Errorf("%s: %s, want %s (%v, %v)", what, m.host(), want, m.clientErr, m.serverErr)
		}
	}
	expect("nobody has named it", "a.test", "fallback")
	named["a.test"] = files("first", "", false)
	expect("it is named", "A.test", "first")
	named["a.test"] = files("second", "", false)
	expect("other files are named", "a.test", "second")
	delete(named, "a.test")
	expect("it is named no longer", "a.test", "fallback")
	named["a.test"] = files("absent", "", false)
	expect("there are no such files", "a.test", "fallback")
	named["b.test"] = files("first", "absent", true)
	if m := meet(t, s, client("b.test")); m.serverErr == nil {
		t.Errorf("the CA is not there: clients are let in unasked, by %s", m.host())
	}
	named["c.test"] = files("first", "ca", true)
	if m := meet(t, s, client("c.test")); m.serverErr == nil {
		t.Error("a client needs no certificate")
	}
	named["known.test"] = files("first", "", false)
	expect("the configuration comes first", "known.test", "known")
}

func TestHostNames(t *testing.T) {
	for name, want := range map[string]bool{
		"a.test": true, "a-b_c.1": true, "": false, ".a": false, "a..b": false, "..": false, "../a": false, "a/b": false, "a\x00b": false, "A.test": false,
		"*.test": false, "a\\b": false, strings.Repeat("a", 254): false, "é.test": false,
	} {
		if hostName(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}

func FuzzHostName(f *testing.F) {
	f.Add("a.test")
	f.Add("../../etc/x")
	f.Fuzz(func(t *testing.T, name string) {
		if hostName(name) && filepath.Dir(filepath.Join("/d", name)) != "/d" {
			t.Errorf("%q leaves its directory", name)
		}
	})
}

func TestFilesThatAreRefused(t *testing.T) {
	root := newAuthority(t, "root", nil)
	leaf, other := root.leaf("h"), root.leaf("x")
	secret := "c2VjcmV0IGtleSBtYXRlcmlhbA=="
	for name, c := range map[string]struct{ cert, key, ca []byte }{
		"certificate /c: there is no certificate":       {cert: []byte("text"), key: leaf.keyPEM()},
		"key /k: there is no private key":               {cert: leaf.pem(), key: leaf.pem()},
		"certificate /c, key /k: tls: private key does": {cert: leaf.pem(), key: other.keyPEM()},
		"key /k: it is encrypted":                       {cert: leaf.pem(), key: []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")},
		"certificate /c, key /k: tls: failed to parse":  {cert: leaf.pem(), key: []byte("-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n")},
		"client CA /a: there is no certificate":         {cert: leaf.pem(), key: leaf.keyPEM(), ca: []byte("text")},
	} {
		files := map[string][]byte{"/c": c.cert, "/k": c.key}
		spec := &tlsspec.Socket{Certificate: tlsspec.Certificate{Cert: "/c", Key: "/k"}}
		if c.ca != nil {
			spec.ClientCA, files["/a"] = "/a", c.ca
		}
		if err := Check(spec, files); err == nil || !strings.HasPrefix(err.Error(), name) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	spec := &tlsspec.Socket{Certificate: tlsspec.Certificate{Cert: "/c", Key: "/k"}, Names: []tlsspec.Name{{Name: "(", Pattern: true}}}
	spec.Names[0].Certificate = spec.Certificate
	if err := Check(spec, map[string][]byte{"/c": leaf.pem(), "/k": leaf.keyPEM()}); err == nil || !strings.Contains(err.Error(), `"("`) && !strings.Contains(err.Error(), `(?i)(`) {
		t.Errorf("a pattern that is none: %v", err)
	}
	if err := Check(spec, nil); !errors.Is(err, errAbsent) {
		t.Errorf("no file: %v", err)
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadFile(path); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.Truncate(path, mostFile+1); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, dir, filepath.Join(dir, "none"), os.DevNull} {
		if text, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
}

func TestAVaultHoldsWhatIsWritten(t *testing.T) {
	h := newHouse(t, newAuthority(t, "root", nil).leaf("h"))
	h.contents.Files["/large"] = bytes.Repeat([]byte("x"), 2<<20)
	h.save()
	got, err := h.vault.Read()
	if err != nil || len(got.Files["/large"]) != 2<<20 || len(got.Seeds) != 1 || len(got.Seeds[0]) != seedSize {
		t.Errorf("%d files, %d seeds, %v", len(got.Files), len(got.Seeds), err)
	}
	h.contents.Files["/huge"] = make([]byte, vaultSize)
	if err := h.vault.Write(h.contents); err == nil {
		t.Error("what does not fit is taken")
	}
	if again, err := h.vault.Read(); err != nil || len(again.Files) != len(got.Files) {
		t.Errorf("and what was there has gone: %v", err)
	}
}
