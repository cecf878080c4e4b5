package openssl

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// names are OpenSSL's names of suites, sorted.
func names(ids []uint16) (list []string) {
	for _, s := range suites {
		if slices.Contains(ids, s.id) {
			list = append(list, s.name)
		}
	}
	slices.Sort(list)
	return list
}

func TestCipherLists(t *testing.T) {
	const gcm = "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384"
	for text, want := range map[string]struct{ suites, passed string }{
		"EECDH+AESGCM":                {gcm, ""},
		"ECDHE+aRSA+AES128":           {"ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-SHA", ""},
		"AES128-SHA":                  {"AES128-SHA", ""},
		"AESGCM:!ECDSA":               {"ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384", ""},
		"!AES256:AESGCM:+aRSA":        {"ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256", ""},
		"AESGCM:-ECDSA:ECDSA+AES256":  {"ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384", ""},
		"DHE-RSA-AES256-SHA:CHACHA20": {"ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305", "DHE-RSA-AES256-SHA"},
		"TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=1": {"ECDHE-RSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256 @SECLEVEL=1"},
		"AESGCM:!aNULL:!eNULL:!EXPORT:!DES:!RC4:!MD5:!PSK:@STRENGTH":     {gcm, ""},
		"kRSA:AESGCM": {gcm, "kRSA"}, // weak ones have to be named
	} {
		got, err := ParseCiphers(text)
		if err != nil || strings.Join(names(got.Suites), " ") != want.suites || strings.Join(got.Passed, " ") != want.passed {
			t.Errorf("%s: %s, passed %s, %v", text, names(got.Suites), got.Passed, err)
		}
	}
}

func TestCipherListsThatAreRefused(t *testing.T) {
	for text, blamed := range map[string]string{
		"HIGH:FOO": `"FOO"`, "FOO+AES": `"FOO+AES"`, "!NOSUCH:HIGH": `"NOSUCH"`, "ECDHE-RSA-AES128-GMC-SHA256": `"ECDHE-RSA-AES128-GMC-SHA256"`,
		"HIGH:@FAST": `"@FAST"`, "HIGH:@SECLEVEL=9": `"@SECLEVEL=9"`, "": "none of them", "!HIGH": "none of them", "RC4": "none of them", "HIGH:!": `""`,
		"high": `"high"`, "HIGH:!ALL": "none of them",
	} {
		if got, err := ParseCiphers(text); err == nil || !strings.Contains(err.Error(), blamed) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// Of what OpenSSL makes of a list, we offer what is strong, and what was named.
func TestCipherListsAgainstOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	var strong []uint16
	for _, s := range suites {
		if s.words != "" {
			strong = append(strong, s.id)
		}
	}
	for _, list := range []string{
		"HIGH", "ALL", "DEFAULT", "HIGH:!aNULL:!MD5", "AESGCM", "EECDH+AESGCM:EDH+AESGCM:AES256+EECDH", "TLSv1.2", "TLSv1", "SHA1:!AES256", "aRSA", "ECDSA",
		"CHACHA20:AES128", "HIGH:-AES:AES128+ECDHE", "ECDH+AES:DH+CHACHA20", "kEECDH+AES", "HIGH:MEDIUM:!LOW:!EXP", "HIGH:!TLSv1.2", "ALL:+HIGH",
		"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-SHA256:AES256-SHA:DHE-RSA-AES128-GCM-SHA256",
	} {
		out, err := exec.Command("openssl", "ciphers", list).Output()
		if err != nil {
			t.Fatalf("openssl ciphers %s: %v", list, err)
		}
		var want []string
		for name := range strings.SplitSeq(strings.TrimSpace(string(out)), ":") {
			found, err := match(name)
			if err == nil && len(found) == 1 && !strings.HasPrefix(name, "TLS_") && (slices.Contains(strong, found[0]) || slices.Contains(strings.Split(list, ":"), name)) {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		got, err := ParseCiphers(list)
		if len(want) == 0 || err != nil && len(want) > 0 || !slices.Equal(names(got.Suites), want) {
			t.Errorf("%s: %v, %v; OpenSSL: %v", list, names(got.Suites), err, want)
		}
	}
}

// What no list names but by name is what Go calls insecure, and nothing else is.
func TestOnlyStrongSuitesAreInGroups(t *testing.T) {
	for _, s := range suites {
		secure := slices.ContainsFunc(tls.CipherSuites(), func(c *tls.CipherSuite) bool { return c.ID == s.id })
		if secure != (s.words != "") {
			t.Errorf("%s: secure to Go: %t", s.name, secure)
		}
	}
}

func FuzzParseCiphers(f *testing.F) {
	for _, seed := range []string{"HIGH:!aNULL", "ECDHE+AES:@SECLEVEL=2", "-:+:!", "TLS_"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := ParseCiphers(text); (err == nil) != (len(got.Suites) > 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	})
}

func TestHTTP2NeedsASuite(t *testing.T) {
	for list, want := range map[string]bool{"ECDHE-RSA-AES128-GCM-SHA256": true, "AES128-SHA": false, "AES128-GCM-SHA256": false, "ECDHE+SHA1": false, "HIGH": true} {
		c, err := ParseCiphers(list)
		if err != nil || HTTP2(c.Suites) != want {
			t.Errorf("%s: %t, %v", list, !want, err)
		}
	}
	if !HTTP2(nil) {
		t.Error("Go's own suites serve HTTP/2")
	}
}

func TestOptions(t *testing.T) {
	for text, want := range map[string]uint64{"16384": NoTicket, "0x4000": NoTicket, "134217728": noTLS12, "4194304": 1 << 22, "0": 0, "0x80000850": 0x80000850} {
		if got, err := ParseOption(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for text, blamed := range map[string]string{
		"abc": `"abc"`, "-1": `"-1"`, "": `""`, "1": "bit 0", "262144": "SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION", "8": "SSL_OP_ENABLE_KTLS",
		"0x100000000": "bit 32", "99999999999999999999": `"99999999999999999999"`,
	} {
		if got, err := ParseOption(text); err == nil || !strings.Contains(err.Error(), blamed) {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
}

func TestVersions(t *testing.T) {
	const v10, v11, v12, v13 = tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13
	for _, c := range []struct {
		old            bool
		options        uint64
		oldest, newest uint16 // 0: refused
	}{
		{false, 0, v12, v13}, {true, 0, v10, v13}, {true, noTLS10, v11, v13}, {true, noTLS10 | noTLS11, v12, v13}, {false, noTLS10 | noTLS11, v12, v13},
		{false, noTLS12, v13, v13}, {false, noTLS13, v12, v12}, {true, noTLS13, v10, v12}, {true, noTLS12, 0, 0}, {true, noTLS11, 0, 0},
		{false, noTLS12 | noTLS13, 0, 0}, {true, noTLS12 | noTLS13, v10, v11}, {true, noTLS11 | noTLS12 | noTLS13, v10, v10},
	} {
		oldest, newest, err := Versions(c.old, c.options)
		if (err != nil) != (c.oldest == 0) || err == nil && (oldest != c.oldest || newest != c.newest) {
			t.Errorf("%t, %#x: %#x to %#x, %v", c.old, c.options, oldest, newest, err)
		}
	}
}

func TestOneLine(t *testing.T) {
	rdn := func(parts ...any) pkix.RelativeDistinguishedNameSET {
		var set pkix.RelativeDistinguishedNameSET
		for i := 0; i < len(parts); i += 2 {
			set = append(set, pkix.AttributeTypeAndValue{Type: parts[i].(asn1.ObjectIdentifier), Value: parts[i+1]})
		}
		return set
	}
	at := func(n ...int) asn1.ObjectIdentifier { return append(asn1.ObjectIdentifier{2, 5, 4}, n...) }
	for want, name := range map[string]pkix.RDNSequence{
		`/C=DE/O=A, Inc/CN=x`:  {rdn(at(6), "DE"), rdn(at(10), "A, Inc"), rdn(at(3), "x")},
		`/CN=a\/CN=root\+b`:    {rdn(at(3), "a/CN=root+b")},
		`/CN=\xC3\xA9\x0D\x0A`: {rdn(at(3), "é\r\n")},
		`/2.5.4.99=v`:          {rdn(at(99), "v")},
		`/CN=b+OU=a/CN=c`:      {rdn(at(3), "b", at(11), "a"), rdn(at(3), "c")},
		``:                     {},
	} {
		der, err := asn1.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OneLine(der); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	for _, broken := range []string{"", "\x30", "\x30\x03\x31\x01\x00", "\x30\x00\x00"} {
		if got, err := OneLine([]byte(broken)); err == nil {
			t.Errorf("%q: %q", broken, got)
		}
	}
}
