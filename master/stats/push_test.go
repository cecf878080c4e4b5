package stats

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

func TestStatisticsArePushed(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	receiver, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	dir := t.TempDir()
	host := newHost(t)
	var pushers Pushers
	pushers.Replace(PushSettings{Dir: dir, PushConfig: uwsgiopts.PushConfig{
		Carbon: []string{server.Addr().String()}, CarbonTimeout: 10 * time.Second, CarbonID: "one", CarbonEvery: time.Minute,
		Pushes: []uwsgiopts.Push{{Kind: "file", Address: "stats", End: "\n--\n"}, {Kind: "statsd", Prefix: "shop", Address: receiver.LocalAddr().String()}}}})
	now := time.Unix(1000, 0)
	pushers.Poll(host, now)
	conn, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasSuffix(line, ".one.requests 16 1000\n") {
		t.Errorf("%q, %v", line, err)
	}
	conn.Close()
	for range pushers.all {
		(<-host.results)()
	}
	text, err := os.ReadFile(filepath.Join(dir, "stats"))
	if err != nil || !strings.HasPrefix(string(text), `{"version":`) || !strings.HasSuffix(string(text), "}\n--\n") {
		t.Errorf("%q, %v", text, err)
	}
	packet := make([]byte, 512)
	n, _, err := receiver.ReadFrom(packet)
	if got := string(packet[:n]); err != nil || got != "shop.core.routed_signals:0|c" {
		t.Errorf("%q, %v", got, err)
	}
	pushers.Poll(host, now.Add(time.Second/2))
	for _, p := range pushers.all {
		if p.busy {
			t.Errorf("%s is sent to again at once", p.Kind)
		}
	}
	pushers.Replace(PushSettings{})
	pushers.Poll(host, now.Add(time.Hour))
	if len(pushers.all) != 0 {
		t.Error("whom the configuration no longer names is sent to")
	}
}

func TestAFailedMessageIsTriedAgain(t *testing.T) {
	host := newHost(t)
	p := &pusher{retries: 1, delay: time.Hour, Push: uwsgiopts.Push{Every: time.Minute}}
	p.sent(host, context.DeadlineExceeded)
	if p.next.IsZero() {
		t.Error("no second try")
	}
	p.next = time.Time{}
	p.sent(host, context.DeadlineExceeded)
	if !p.next.IsZero() || p.failed != 0 {
		t.Error("a third try")
	}
}
