package stats

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"envoxyd/master/management"
)

// listen opens a unix socket; the servers get a descriptor of it.
func listen(t *testing.T) (address management.Listener, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "stats")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close(); listener.Close() })
	return management.Listener{FD: int(file.Fd()), Name: path}, path
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestServersAnswer(t *testing.T) {
	for _, form := range []ServerForm{{}, {JSONForm: JSONForm{Minified: true, NoCores: true}}, {HTTP: true}} {
		host := newHost(t)
		address, path := listen(t)
		var servers management.Servers
		servers.Replace([]management.Listener{address}, Service(host, form))
		requests := []string{""}
		if form.HTTP { // also what is not quite HTTP
			requests = []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /x HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", "GET /\r\n\r\n", "BREW / HTTP/1.1\r\n\r\n"}
		}
		var want bytes.Buffer
		if err := sample().WriteJSON(&want, form.JSONForm); err != nil {
			t.Fatal(err)
		}
		for _, request := range requests {
			conn := dial(t, path)
			_, _ = conn.Write([]byte(request)) // what is read tells
			text, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			if form.HTTP {
				head, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
				text = body
				for _, line := range []string{"Connection: close", "Access-Control-Allow-Origin: *", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", want.Len())} {
					if !bytes.HasPrefix(head, []byte("HTTP/1.0 200 OK\r\n")) || !bytes.Contains(head, []byte("\r\n"+line)) {
						t.Errorf("%q: %s", request, head)
					}
				}
			}
			if !bytes.Equal(text, want.Bytes()) {
				t.Errorf("%+v, %q: %s", form, request, text)
			}
		}
		servers.Close()
	}
}

func TestServersCloseWhoeverIsConnected(t *testing.T) {
	host := newHost(t)
	host.silent = true // as the goroutine is that closes them
	plain, plainPath := listen(t)
	var servers management.Servers
	servers.Replace([]management.Listener{plain}, Service(host, ServerForm{}))
	http, httpPath := listen(t)
	var overHTTP management.Servers
	overHTTP.Replace([]management.Listener{http}, Service(host, ServerForm{HTTP: true}))
	asking := dial(t, plainPath)
	<-host.asked
	silent := dial(t, httpPath)                             // sends no request
	_, _ = dial(t, httpPath).Write([]byte("GET /\r\n\r\n")) // does, and is accepted after the silent one
	<-host.asked
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		servers.Close()
		overHTTP.Close()
	}()
	select {
	case <-closed:
	case <-time.After(clientTimeout / 2):
		t.Error("close waits for clients")
	}
	<-closed
	for _, conn := range []net.Conn{asking, silent} {
		if text, err := io.ReadAll(conn); len(text) > 0 {
			t.Errorf("after the end: %q, %v", text, err)
		}
	}
}
