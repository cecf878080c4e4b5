package uwsgiopts

import (
	"crypto/tls"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestSocketsOfTLS(t *testing.T) {
	gcm := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for _, tt := range []struct {
		option, value, protocol, address string
		want                             Certificate
	}{
		{"https", ":443,c.crt,k.key", "http-router", ":443", Certificate{Cert: "c.crt", Key: "k.key"}},
		{"https", "=0,c,k,ECDHE-RSA-AES128-GCM-SHA256,ca", "http-router", "=0", Certificate{"c", "k", gcm, "ca", false}},
		{"https", ":443,c,k,ECDHE-RSA-AES128-GCM-SHA256,!ca", "http-router", ":443", Certificate{"c", "k", gcm, "ca", true}},
		{"https", ":443,c,k,,!ca", "http-router", ":443", Certificate{"c", "k", nil, "ca", true}},
		{"https-socket", "s.sock,c,k", "http", "s.sock", Certificate{Cert: "c", Key: "k"}},
		{"ssl-socket", ":1,c,k", "uwsgi", ":1", Certificate{Cert: "c", Key: "k"}},
		{"suwsgi-socket", ":1,c,k", "uwsgi", ":1", Certificate{Cert: "c", Key: "k"}},
		{"sslrouter", ":443,c,k,,!ca", SSLFront, ":443", Certificate{"c", "k", nil, "ca", true}},
		{"sslrouter2", "addr=:443,crt=c,key=k,client_ca=ca", SSLFront, ":443", Certificate{"c", "k", nil, "ca", false}},
		{"https2", "addr=:443,cert=c,key=k", "http-router", ":443", Certificate{Cert: "c", Key: "k"}},
		{"https2", "key=k,clientca=!ca,addr=:443,ciphers=ECDHE-RSA-AES128-GCM-SHA256,cert=c,spdy=1", "http-router", ":443", Certificate{"c", "k", gcm, "ca", true}},
	} {
		cfg := mustParse(t, "--"+tt.option, tt.value)
		want := []Socket{{Protocol: tt.protocol, Address: tt.address, TLS: &tt.want, Origin: commandLine}}
		if !reflect.DeepEqual(cfg.Sockets, want) {
			t.Errorf("%s %s: %+v, %+v", tt.option, tt.value, cfg.Sockets[0], cfg.Sockets[0].TLS)
		}
	}
	if cfg := mustParse(t, "--http-to-https", ":80"); cfg.Sockets[0].Protocol != "http-to-https" || cfg.Sockets[0].TLS != nil || !cfg.Sockets[0].Routes() {
		t.Errorf("%+v", cfg.Sockets)
	}
}

func TestHostsOfTLS(t *testing.T) {
	cfg := mustParse(t, "--sni", "a.test c,k", "--sni-regexp", "*.b.test c,k,,!ca", "--sni-regexp", `^x\.test$ c,k`, "--sni-dir", "certs", "--sni-dir-ciphers", "ECDHE-RSA-AES128-GCM-SHA256")
	var got []string
	for _, n := range cfg.SNI {
		kind := "name"
		if n.Pattern {
			kind = "pattern"
		}
		got = append(got, kind+" "+n.Name+" "+n.Cert+" "+n.ClientCA)
		if !reflect.DeepEqual(n.Origin, commandLine) {
			t.Errorf("%s is of %v", n.Name, n.Origin)
		}
	}
	if want := []string{"name a.test c ", "name *.b.test c ca", `pattern ^x\.test$ c `}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if cfg.SNIDir != "certs" || len(cfg.SNIDirCiphers) != 1 {
		t.Errorf("%q, %v", cfg.SNIDir, cfg.SNIDirCiphers)
	}
}

func TestSettingsOfTLS(t *testing.T) {
	cfg := mustParse(t)
	if cfg.TLSOldest != tls.VersionTLS12 || cfg.TLSNewest != tls.VersionTLS13 || cfg.VerifyDepth != 1 || !cfg.HTTP2 || cfg.NoTickets {
		t.Errorf("%+v", cfg.TLSConfig)
	}
	cfg = mustParse(t, "--ssl-enable-tlsv1", "--ssl-option", "67108864", "--ssl-option=0x4000", "--ssl-verify-depth=3", "--http2=false")
	if cfg.TLSOldest != tls.VersionTLS11 || cfg.VerifyDepth != 3 || cfg.HTTP2 || !cfg.NoTickets {
		t.Errorf("%+v", cfg.TLSConfig)
	}
}

func TestTLSThatIsRefused(t *testing.T) {
	for args, want := range map[string]string{
		"--https :443,c":                             `option "https": ":443,c" is not ADDRESS,CERT,KEY[,CIPHERS[,CLIENT_CA]]`,
		"--https ,c,k":                               `is not ADDRESS,CERT,KEY`,
		"--https :443,,k":                            `is not ADDRESS,CERT,KEY`,
		"--https :443,c,k,HIGH,ca,x":                 `is not ADDRESS,CERT,KEY`,
		"--https :443,c,k,NOSUCH":                    `option "https": "NOSUCH" is no cipher`,
		"--https-socket :443,c,k,HIGH,!":             `a file name must follow the !`,
		"--https :443,http://x/c,k":                  `"http://x/c": certificates and keys have to be files`,
		"--sslrouter2 addr=:443,cert=c,key=k,spdy=1": `SPDY carries HTTP`,
		"--sslrouter-to a:1":                         `a sslrouter has nodes, but no address`,
		"--https2 addr=:443,cert=c":                  `needs addr=, cert= and key=`,
		"--https2 addr=:443,cert=c,key=k,x":          `"x" is not one of addr, cert, key, ciphers, clientca, spdy`,
		"--sni a.test":                               `is not NAME CERT,KEY[,CIPHERS[,CLIENT_CA]]`,
		"--ssl-enable-sslv3":                         `option "ssl-enable-sslv3" is not supported`,
		"--ssl-option x":                             `option "ssl-option": "x" is no number`,
		"--ssl-option 262144":                        `SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION`,
		"--ssl-option 671088640":                     `no version of TLS is left`,
		"--sni-dir-ciphers NOSUCH":                   `option "sni-dir-ciphers": "NOSUCH"`,
	} {
		_, err := Parse(strings.Fields(args), nil, ParseOptions{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestCiphersWithoutEffectAreTold(t *testing.T) {
	cfg := mustParse(t, "--https", ":443,c,k,HIGH:DHE-RSA-AES256-SHA:!RC4")
	if len(cfg.Notices) != 1 || !strings.Contains(cfg.Notices[0], `option "https": the ciphers DHE-RSA-AES256-SHA have no effect`) {
		t.Errorf("%q", cfg.Notices)
	}
}
