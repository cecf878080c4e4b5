package logging

import (
	"bufio"
	"fmt"
	"io"
	"log/syslog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sent is a batch of these records.
func sent(records ...string) *batch {
	var b batch
	for _, r := range records {
		b.add([]byte(r))
	}
	return &b
}

// receiver listens for datagrams and returns the next one.
func receiver(t *testing.T, network, address string) (where string, next func() string) {
	t.Helper()
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String(), func() string {
		t.Helper()
		buffer := make([]byte, 65536)
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
}

func TestEachRecordIsOneDatagram(t *testing.T) {
	for network, address := range map[string]string{"udp": "127.0.0.1:0", "unixgram": filepath.Join(t.TempDir(), "log.sock")} {
		where, next := receiver(t, network, address)
		d, err := newDatagrams(where)
		if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		if lost, err := d.write(sent("one\n", "two\nlines\n")); lost > 0 || err != nil {
			t.Fatalf("lost %d: %v", lost, err)
		}
		if one, two := next(), next(); one != "one\n" || two != "two\nlines\n" {
			t.Errorf("%s: %q, %q", network, one, two)
		}
	}
}

func TestAReceiverMayComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.sock")
	d, err := newDatagrams(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if lost, err := d.write(sent("nobody hears this\n")); lost != 1 || err == nil {
		t.Fatalf("lost %d: %v", lost, err)
	}
	for range 2 {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		t.Run("receiver", func(t *testing.T) { // which ends with the test
			_, next := receiver(t, "unixgram", path)
			if lost, err := d.write(sent("heard\n")); lost > 0 || err != nil || next() != "heard\n" {
				t.Fatalf("lost %d: %v", lost, err)
			}
		})
	}
}

func TestNobodyListeningOnUDPIsNoFailure(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	where := conn.LocalAddr().String()
	conn.Close()
	d, err := newDatagrams(where)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for range 20 {
		if lost, err := d.write(sent("x\n")); lost > 0 || err != nil {
			t.Fatalf("lost %d: %v", lost, err)
		}
	}
}

func TestSyslogPackets(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 3, 0, 32, 49, 0, time.UTC)
	for _, c := range []struct {
		arguments string
		size      int
		split     bool
		record    string
		want      []string
	}{
		{"127.0.0.1:9,app", 1024, false, "text\n", []string{"<29>Nov  3 00:32:49 app: text"}},
		{"127.0.0.1:9,app,14", 1024, false, "text\n", []string{"<14>Nov  3 00:32:49 app: text"}},
		{"127.0.0.1:9", 1024, false, "text\n", []string{"<29>Nov  3 00:32:49 " + host + " uwsgi: text"}},
		{"127.0.0.1:9,app", 30, false, "text that is long\n", []string{"<29>Nov  3 00:32:49 app: text "}},
		{"127.0.0.1:9,app", 30, true, "text that\n", []string{"<29>Nov  3 00:32:49 app: text ", "<29>Nov  3 00:32:49 app: that"}},
		{"127.0.0.1:9,app", 0, true, "ab", []string{"<29>Nov  3 00:32:49 app: a", "<29>Nov  3 00:32:49 app: b"}},
	} {
		r, err := newRemoteSyslog(c.arguments, c.size, c.split)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, packet := range r.packets([]byte(c.record), now) {
			got = append(got, string(packet))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.arguments, got, c.want)
		}
	}
}

func TestSyslogArguments(t *testing.T) {
	for arguments, want := range map[string]localSyslog{
		"":              {priority: syslog.LOG_DAEMON | syslog.LOG_INFO, identifier: "uwsgi"},
		"shop":          {priority: syslog.LOG_DAEMON | syslog.LOG_INFO, identifier: "shop"},
		"shop,local3":   {priority: syslog.LOG_LOCAL3 | syslog.LOG_INFO, identifier: "shop"},
		",authpriv":     {priority: syslog.LOG_AUTHPRIV | syslog.LOG_INFO, identifier: "uwsgi"},
		"shop,no-such!": {},
	} {
		s, err := newLocalSyslog(arguments)
		switch {
		case want.identifier == "":
			if err == nil {
				t.Errorf("%q was taken", arguments)
			}
		case err != nil || *s != want:
			t.Errorf("%q: %+v, %v", arguments, s, err)
		}
	}
}

// redisServer answers the nth command with the nth reply, and hands on what it was asked.
func redisServer(t *testing.T, replies ...string) (address string, asked chan []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	asked = make(chan []string, 16)
	go func() {
		defer close(asked)
		for len(replies) > 0 {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			for in := bufio.NewReader(conn); len(replies) > 0; replies = replies[1:] {
				var count int
				if _, err := fmt.Fscanf(in, "*%d\r\n", &count); err != nil {
					break
				}
				var words []string
				for range count {
					var size int
					if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
						return
					}
					word := make([]byte, size+2)
					if _, err := io.ReadFull(in, word); err != nil {
						return
					}
					words = append(words, string(word[:size]))
				}
				asked <- words
				if replies[0] == "" { // hangs up
					replies = replies[1:]
					break
				}
				fmt.Fprintf(conn, "%s\r\n", replies[0])
			}
			conn.Close()
		}
	}()
	return listener.Addr().String(), asked
}

func TestRedisGetsCommands(t *testing.T) {
	address, asked := redisServer(t, ":1", ":0", "-ERR no", ":1")
	r := newRedis(address + ",rpush my logs,pre ")
	defer r.close()
	if lost, err := r.write(sent("a\n", "b\n")); lost > 0 || err != nil {
		t.Fatalf("lost %d: %v", lost, err)
	}
	for _, want := range []string{"pre a\n", "pre b\n"} {
		if got := <-asked; !slices.Equal(got, []string{"rpush", "my", "logs", want}) {
			t.Fatalf("asked %q", got)
		}
	}
	if lost, err := r.write(sent("refused\n", "taken\n")); lost != 1 || err == nil || !strings.Contains(err.Error(), "ERR no") {
		t.Fatalf("lost %d: %v", lost, err)
	}
}

func TestRedisMayHangUpOnAnIdleConnection(t *testing.T) {
	address, asked := redisServer(t, ":1", "", ":1")
	r := newRedis(address)
	defer r.close()
	for range 2 {
		if lost, err := r.write(sent("x\n")); lost > 0 || err != nil {
			t.Fatalf("lost %d: %v", lost, err)
		}
	}
	for range 3 {
		if got := <-asked; !slices.Equal(got, []string{"publish", "uwsgi", "x\n"}) {
			t.Fatalf("asked %q", got)
		}
	}
}

func TestRedisArguments(t *testing.T) {
	if r := newRedis(""); r.address != "127.0.0.1:6379" || !slices.Equal(r.words, []string{"publish", "uwsgi"}) {
		t.Errorf("%+v", r)
	}
	if r := newRedis("/run/redis.sock,lpush l"); r.network != "unix" || !slices.Equal(r.words, []string{"lpush", "l"}) {
		t.Errorf("%+v", r)
	}
}
