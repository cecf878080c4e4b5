package rows

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// silent is the address of a server that accepts, and then says no more than it is told to.
func silent(t *testing.T, say string) (host, port string, accepted <-chan net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(say))
			conns <- conn
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
		for close(conns); ; {
			conn, ok := <-conns
			if !ok {
				return
			}
			conn.Close()
		}
	})
	host, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return host, port, conns
}

// What a server says that lets anybody in and is ready for a query.
const ready = "R\x00\x00\x00\x08\x00\x00\x00\x00K\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x02Z\x00\x00\x00\x05I"

func TestAServerThatDoesNotAnswer(t *testing.T) {
	for name, say := range map[string]string{"from the beginning": "", "a query": ready} {
		t.Run(name, func(t *testing.T) {
			host, port, _ := silent(t, say)
			r, err := New("sslmode=disable user=u host="+host+" port="+port, "SELECT 1", 50*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for range 2 {
				if _, err := r.Read(t.Context()); err == nil || err.Error() != "no answer within 50ms" {
					t.Errorf("%v", err)
				}
				if r.conn != nil {
					t.Error("the connection is kept")
				}
			}
		})
	}
}

func TestAReadEndsWithItsContext(t *testing.T) {
	host, port, accepted := silent(t, ready)
	r, err := New("sslmode=disable user=u host="+host+" port="+port, "SELECT 1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := r.Read(ctx)
		ended <- err
	}()
	conn := <-accepted
	defer conn.Close()
	cancel()
	if err := <-ended; err == nil {
		t.Error("no error")
	}
}

func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(address)
	r, err := New("user=u host=127.0.0.1 password=hidden port="+port, "SELECT 1", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Read(t.Context()); err == nil || err.Error() != "dial "+address+": connect: connection refused" {
			t.Errorf("%v", err)
		}
	}
}

func TestConnectionsThatCannotBeUsed(t *testing.T) {
	for connection, want := range map[string]string{
		"host=h port=x password=hidden":                                "invalid port",
		"host=h sslmode=verify-full sslrootcert=/none password=hidden": "failed to configure TLS",
		"host=h sslmode=perhaps password=hidden":                       "sslmode is invalid",
		"postgres://u:hid/den@h/d":                                     "invalid port",
		"password = hid den":                                           "failed to parse as keyword/value",
	} {
		_, err := New(connection, "SELECT 1", time.Second)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", connection, err, want)
		} else if strings.Contains(err.Error(), "hid") || strings.Contains(err.Error(), "den") {
			t.Errorf("%s: %v shows the password", connection, err)
		}
	}
}
