package subscription

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"

	"envoxyd/protocol/uwsgi"
)

// What uWSGI 2.0.31 sends for --subscribe2 with key=two,weight=5,modifier1=3,modifier2=2,sni_key=a,sni_crt=b.
var plain = Packet{Key: "two", Address: "127.0.0.1:9", Modifier1: 3, Modifier2: 2, Cores: 1, Weight: 5, SNIKey: "a", SNICert: "b"}

func TestPacketsSurviveARoundTrip(t *testing.T) {
	for _, p := range []Packet{
		plain,
		{Key: "k", Address: "/run/a.sock", Leave: true},
		{Key: "k", Address: "@abstract", Notify: "/run/n", Protocol: "http", Algorithm: "lrc", Vassal: "v.ini", Backup: 2, Unix: 1795951878, Load: 7, SNICA: "c"},
	} {
		got, err := Parse(p.Append(nil))
		if err != nil {
			t.Errorf("%+v: %v", p, err)
		}
		got.signed = nil
		if got.Sign != nil {
			t.Errorf("%+v has a signature", got)
		}
		if !same(got, p) {
			t.Errorf("%+v became %+v", p, got)
		}
	}
	if size := len(plain.Append(nil)); size != 118 { // as uWSGI's
		t.Errorf("%d bytes", size)
	}
}

func same(a, b Packet) bool {
	a.signed, b.signed = nil, nil
	return string(a.Append(nil)) == string(b.Append(nil))
}

func TestWhatIsNoAnnouncementIsRefused(t *testing.T) {
	packet := func(modifier1, modifier2 byte, vars ...string) []byte {
		var block []byte
		for i := 0; i < len(vars); i += 2 {
			block = uwsgi.AppendVar(block, vars[i], vars[i+1])
		}
		return append(uwsgi.AppendHeader(nil, uwsgi.Header{Modifier1: modifier1, Modifier2: modifier2, Size: len(block)}), block...)
	}
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":             {nil, ErrNoPacket},
		"another modifier":    {packet(0, 0, "key", "k", "address", "a"), ErrNoPacket},
		"another kind":        {packet(Modifier, 2, "key", "k", "address", "a"), ErrNoPacket},
		"cut":                 {packet(Modifier, 0, "key", "k", "address", "a")[:12], ErrNoPacket},
		"longer":              {append(packet(Modifier, 0, "key", "k", "address", "a"), 'x'), ErrNoPacket},
		"no key":              {packet(Modifier, 0, "address", "a"), ErrKey},
		"no address":          {packet(Modifier, 0, "key", "k"), ErrAddress},
		"a line in the key":   {packet(Modifier, 0, "key", "k\nforged", "address", "a"), ErrMalformed},
		"a long key":          {packet(Modifier, 0, "key", strings.Repeat("k", 513), "address", "a"), ErrMalformed},
		"a word for a number": {packet(Modifier, 0, "key", "k", "address", "a", "weight", "heavy"), ErrMalformed},
		"a negative weight":   {packet(Modifier, 0, "key", "k", "address", "a", "weight", "-1"), ErrMalformed},
		"a large modifier":    {packet(Modifier, 0, "key", "k", "address", "a", "modifier1", "256"), ErrMalformed},
		"a var behind":        {packet(Modifier, 0, "key", "k", "address", "a", "sign", "s", "key", "other"), ErrMalformed},
		"an overrun":          {uwsgi.AppendHeader(nil, uwsgi.Header{Modifier1: Modifier}), ErrKey},
	} {
		if _, err := Parse(c.data); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestSignaturesOfUWSGIAreVerified(t *testing.T) {
	text, err := os.ReadFile("testdata/public.pem")
	if err != nil {
		t.Fatal(err)
	}
	public, err := PublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/uwsgi-2.0.21-signed.bin")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(data)
	if err != nil || p.Key != "ex.com" || p.Unix != 1795951878 {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := p.Verify(public, crypto.SHA1); err != nil {
		t.Error(err)
	}
	if err := p.Verify(public, crypto.SHA256); !errors.Is(err, ErrSignature) {
		t.Errorf("with another digest: %v", err)
	}
	forged, err := Parse(bytes.Replace(data, []byte("ex.com"), []byte("xe.com"), 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := forged.Verify(public, crypto.SHA1); !errors.Is(err, ErrSignature) {
		t.Errorf("with another key: %v", err)
	}
	unsigned, _ := Parse(plain.Append(nil))
	if err := unsigned.Verify(public, crypto.SHA1); !errors.Is(err, ErrUnsigned) {
		t.Errorf("unsigned: %v", err)
	}
}

func TestWhatWeSignIsVerified(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range []*pem.Block{{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}, {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		read, err := PrivateKey(pem.EncodeToMemory(block))
		if err != nil || !read.Equal(private) {
			t.Fatalf("%s: %v", block.Type, err)
		}
	}
	p := plain
	p.Unix = 12345
	data, err := p.AppendSigned(nil, private, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(data)
	if err != nil || got.Verify(&private.PublicKey, crypto.SHA256) != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestKeyFilesLeaveTheirDirectoryNowhere(t *testing.T) {
	for key, want := range map[string]string{
		"test.uwsgi.it:8000":  "test.uwsgi.it_8000.pem",
		"../../etc/passwd":    "_._.._etc_passwd.pem",
		"..":                  "_..pem",
		"a/b":                 "a_b.pem",
		"UPPER-and.lower_1.x": "UPPER-and.lower_1.x.pem",
	} {
		if got := KeyFile(key); got != want || strings.ContainsAny(got, "/") {
			t.Errorf("%q: %s, want %s", key, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(plain.Append(nil))
	f.Add((&Packet{Key: "k", Address: "a", Leave: true, Unix: 5}).Append(nil))
	if data, err := os.ReadFile("testdata/uwsgi-2.0.21-signed.bin"); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			return
		}
		if !isText(p.Key) || !isText(p.Address) {
			t.Fatalf("%q %q", p.Key, p.Address)
		}
		again, err := Parse(p.Append(nil))
		if err != nil || !same(again, p) {
			t.Fatalf("%+v became %+v: %v", p, again, err)
		}
	})
}
