package http

import (
	"errors"
	"strings"
	"testing"

	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
)

// padded is size bytes, the last of them tail: behind 64 KiB, a length that wraps ends where tail begins.
func padded(size int, tail string) string {
	return strings.Repeat("a", max(size-len(tail), 0)) + tail
}

func TestValuesThatDoNotFitAreRefused(t *testing.T) {
	long := padded(uwsgi.MaxBlock+1, "")
	half := padded(uwsgi.MaxBlock/2+1, "")
	for name, text := range map[string]string{
		"target":         "GET /" + long + " HTTP/1.1\r\nHost: h\r\n\r\n",
		"query":          "GET /?" + long + " HTTP/1.1\r\nHost: h\r\n\r\n",
		"method":         long + " / HTTP/1.1\r\nHost: h\r\n\r\n",
		"host":           "GET / HTTP/1.1\r\nHost: " + long + "\r\n\r\n",
		"host of an URL": "GET http://" + long + "/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"value":          "GET / HTTP/1.1\r\nHost: h\r\nX: " + long + "\r\n\r\n",
		"joined values":  "GET / HTTP/1.1\r\nHost: h\r\nX: " + half + "\r\nX: " + half + "\r\n\r\n",
		"name":           "GET / HTTP/1.1\r\nHost: h\r\n" + long[:uwsgi.MaxBlock-len("HTTP_")+1] + ": 1\r\n\r\n",
		"type":           "GET / HTTP/1.1\r\nHost: h\r\nContent-Type: " + long + "\r\n\r\n",
	} {
		h, _, err := parseText(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = h.AppendVars(nil, &transports.Conn{Socket: &transports.Socket{HostName: true}})
		var refused *Error
		if !errors.As(err, &refused) || refused.Status != 431 || !strings.Contains(refused.Reason, "--buffer-size") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzVars: heads far over 64 KiB never say what the client did not write as such.
func FuzzVars(f *testing.F) {
	for _, size := range []int{0, 1, 0xfffa, 0xfffb, 0xffff, 0x10000, 0x10000 + 1000, 0x20000} {
		f.Add(size, 1, 1, 1)
		f.Add(1, size, 1, 1)
		f.Add(1, 1, size, 1)
		f.Add(1, 1, size, size)
		f.Add(1, 1, 1, size)
	}
	forged := string(uwsgi.AppendVar(nil, "REMOTE_USER", "admin"))
	tail := strings.NewReplacer("\x00", "%00", "\v", "%0b", "\x05", "%05").Replace(forged)
	f.Fuzz(func(t *testing.T, method, target, name, value int) {
		bound := func(n int) int { return max(n%0x30000, 1) }
		text := padded(bound(method), "") + " /" + padded(bound(target), tail) + " HTTP/1.1\r\nHost: h\r\n" +
			"A" + padded(bound(name), "") + ": " + padded(bound(value), "") + "\r\nB: " + padded(bound(value), "") + "\r\n\r\n"
		h, _, err := parseText(text)
		if err != nil {
			t.Fatal(err)
		}
		block, err := h.AppendVars(nil, &transports.Conn{Socket: &transports.Socket{}})
		for err == nil && len(block) > 0 {
			var key []byte
			key, _, block, err = uwsgi.Next(block)
			switch string(key) {
			case "REQUEST_METHOD", "REQUEST_URI", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL", "SCRIPT_NAME", "SERVER_NAME",
				"SERVER_PORT", "REMOTE_ADDR", "HTTP_HOST", "HTTP_B":
			default:
				if string(key) != "HTTP_A"+strings.Repeat("A", bound(name)) {
					t.Fatalf("%.40q was made up (%v)", key, err)
				}
			}
		}
		var refused *Error
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
	})
}
