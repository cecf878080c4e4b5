package http

import (
	"net/netip"
	"strings"
	"testing"
)

// proxy2 is a header of version 2.
func proxy2(command, family byte, addresses string) string {
	return "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{0x20 | command, family, byte(len(addresses) >> 8), byte(len(addresses))}) + addresses
}

func TestProxyHeaders(t *testing.T) {
	const (
		four = "\xc0\x00\x02\x07\xc6\x33\x64\x01\x04\x57\x08\xae"
		six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x04\x57\x08\xae"
	)
	for text, want := range map[string]struct {
		size   int
		client string
		bad    bool
	}{
		"PROXY TCP4 192.0.2.7 198.51.100.1 1111 2222\r\nGET": {size: 45, client: "192.0.2.7:1111"},
		"PROXY TCP6 ::1 ::2 1 2\r\n":                         {size: 24, client: "[::1]:1"},
		"PROXY UNKNOWN\r\n":                                  {size: 15},
		"PROXY UNKNOWN ::1 ::2 1 2\r\n":                      {size: 27},
		"GET / HTTP/1.1\r\n":                                 {},
		"\r\nGET / HTTP/1.1\r\n":                             {},
		"PROXYING / HTTP/1.1\r\n":                            {},
		"PROXY TCP4 x y 1 2\r\n":                             {bad: true},
		"PROXY TCP4 1.2.3.4\r\n":                             {bad: true},
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n":               {bad: true},
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n":             {bad: true},
		"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n":                   {bad: true},
		"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n":                 {bad: true},
		"PROXY " + strings.Repeat("x", 200):                  {bad: true},

		proxy2(1, 0x11, four) + "GET":                             {size: 28, client: "192.0.2.7:1111"},
		proxy2(1, 0x21, six):                                      {size: 52, client: "[2001:db8::1]:1111"},
		proxy2(1, 0x11, four+"\x04\x00\x01\x00") + "GET":          {size: 32, client: "192.0.2.7:1111"},
		proxy2(0, 0x00, "") + "GET":                               {size: 16},
		proxy2(0, 0x11, four):                                     {size: 28},
		proxy2(2, 0x11, four):                                     {bad: true},
		proxy2(1, 0x00, ""):                                       {bad: true},
		proxy2(1, 0x12, four):                                     {bad: true},
		proxy2(1, 0x31, strings.Repeat("/", 216)):                 {bad: true},
		proxy2(1, 0x11, four[:8]):                                 {bad: true},
		proxy2(1, 0x11, four)[:14] + "\xff\xff":                   {bad: true},
		strings.Replace(proxy2(1, 0x11, four), "\x21", "\x11", 1): {bad: true},
	} {
		size, a, err := ProxyHeader([]byte(text))
		switch {
		case want.bad && err == nil, !want.bad && err != nil, err == nil && size != want.size:
			t.Errorf("%.40q: %d bytes, %v; want %+v", text, size, err, want)
		case err != nil:
		case want.client != "" && a.client.AddrPort() != netip.MustParseAddrPort(want.client), want.client == "" && a.client != nil:
			t.Errorf("%.40q: client %v, want %s", text, a.client, want.client)
		}
		if err != nil {
			continue
		}
		for n := range size { // in pieces
			if got, _, err := ProxyHeader([]byte(text[:n])); got != -1 || err != nil {
				t.Errorf("%d bytes of %.40q: %d, %v", n, text, got, err)
			}
		}
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 198.51.100.1 1111 2222\r\nGET"))
	f.Add([]byte(proxy2(1, 0x11, "123412341212")))
	f.Add([]byte(proxy2(0, 0, "")))
	f.Fuzz(func(t *testing.T, data []byte) {
		size, a, err := ProxyHeader(data)
		if size > len(data) || size < -1 || err != nil && size != 0 || a.client != nil && size <= 0 && err == nil {
			t.Fatalf("%d of %d bytes, %v, %v", size, len(data), a, err)
		}
	})
}
