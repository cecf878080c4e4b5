package cgi

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseHead(t *testing.T) {
	for text, want := range map[string]string{
		"Content-Type: a/b\n\nbody":                       "200 OK|Content-Type=a/b|-1|body",
		"Content-Type:a/b\r\n\r\nbody":                    "200 OK|Content-Type=a/b|-1|body",
		"\nbody":                                          "200 OK||-1|body",
		"Status: 404 Gone Away\nX: y\n\n":                 "404 Gone Away|X=y|-1|",
		"status:404\n\n":                                  "404||-1|",
		"Location: /x\n\n":                                "302 Found|Location=/x|-1|",
		"location: http://h/\nStatus: 301 Moved\n\n":      "301 Moved|location=http://h/|-1|",
		"HTTP/1.1 299 Fine\r\nX: y\r\n\r\nnph":            "299 Fine|X=y|-1|nph",
		"HTTP/1.0 200\n\n":                                "200||-1|",
		"Content-Length: 4\nX: \t y \t\n\nbody":           "200 OK|X=y|4|body",
		"Content-Length: 4\nContent-Length: 4\n\n":        "200 OK||4|",
		"Connection: keep-alive, Close\nA: b\n\n":         "200 OK|A=b|-1 ends|",
		"Transfer-Encoding: chunked\n\n0\n":               "200 OK|Transfer-Encoding=chunked|-1 coded|0\n",
		"Set-Cookie: a=1\nSet-Cookie: b=2\n\n":            "200 OK|Set-Cookie=a=1,Set-Cookie=b=2|-1|",
		"X: \xc3\xa9\n\n":                                 "200 OK|X=\xc3\xa9|-1|",
		"":                                                "more",
		"Content-Type: a/b\n":                             "more",
		"Content-Type: a/b\r":                             "more",
		"no field\n\n":                                    "error",
		": no name\n\n":                                   "error",
		"X Y: z\n\n":                                      "error",
		"X : z\n\n":                                       "error",
		"X: a\n folded\n\n":                               "error",
		"X: a\rSet-Cookie: b\n\n":                         "error",
		"X: a\x00\n\n":                                    "error",
		"X: y\nHTTP/1.1 200 OK\n\n":                       "error",
		"Status: 99\n\n":                                  "error",
		"Status: 100 Continue\n\n":                        "error",
		"Status: 600\n\n":                                 "error",
		"Status: 2000\n\n":                                "error",
		"Status: OK\n\n":                                  "error",
		"HTTP/1.1\n\n":                                    "error",
		"Content-Length: -1\n\n":                          "error",
		"Content-Length: 4x\n\n":                          "error",
		"Content-Length: 4\nContent-Length: 5\n\n":        "error",
		"Content-Length: 4\nTransfer-Encoding: gzip\n\n":  "error",
		"X: " + strings.Repeat("y", MaxHead) + "\n":       "error",
		strings.Repeat("y", MaxHead):                      "error",
		strings.Repeat("X: y\n", MaxHead/5+1) + "\n":      "error",
		"X: " + strings.Repeat("y", MaxHead-4) + "\n\nbo": "error",
	} {
		h, err := ParseHead([]byte(text))
		if got := headText([]byte(text), h, err); got != want && !(want == "error" && strings.HasPrefix(got, want)) {
			t.Errorf("%.80q:\n got %.100q\nwant %.100q", text, got, want)
		}
	}
}

// headText is what ParseHead has found, in a line.
func headText(data []byte, h *Head, err error) string {
	switch {
	case err != nil:
		return "error " + err.Error()
	case h == nil:
		return "more"
	}
	var fields []string
	for _, f := range h.Fields {
		fields = append(fields, f.Name+"="+f.Value)
	}
	text := fmt.Sprintf("%s|%s|%d", h.Status, strings.Join(fields, ","), h.Length)
	if h.Ends {
		text += " ends"
	}
	if h.Coded {
		text += " coded"
	}
	return text + "|" + string(data[min(h.Started, len(data)):])
}

// Whatever a program says: what is taken of its head cannot end a line, and it is found in pieces as it is as a whole.
func FuzzParseHead(f *testing.F) {
	for _, text := range []string{"Content-Type: a/b\r\n\r\nbody", "Status: 404 x\nX: y\n\n", "HTTP/1.1 200 OK\n\n", "X: a\rb\n\n", "\n", "Content-Length: 1\n\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ParseHead(data)
		if err != nil || h == nil {
			return
		}
		if h.Started > len(data) || h.Code < 200 || h.Code > 599 || !strings.HasPrefix(h.Status, fmt.Sprint(h.Code)) {
			t.Fatalf("%q: %+v", data, h)
		}
		for _, f := range append(h.Fields, Field{"Status", h.Status}) {
			if strings.ContainsAny(f.Name+f.Value, "\r\n\x00") || f.Name == "" {
				t.Fatalf("%q: %q", data, f)
			}
		}
		for end := range h.Started {
			var problem *HeadError
			if part, err := ParseHead(data[:end]); part != nil || err != nil && errors.As(err, &problem) {
				t.Fatalf("%q: the first %d bytes are %+v, %v", data, end, part, err)
			}
		}
	})
}
