package stats

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"envoxyd/uwsgiopts"
)

// zabbixServer takes one message, answers it and returns its text.
func zabbixServer(t *testing.T, answer string) (address string, received <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	texts := make(chan string, 1)
	go func() {
		defer close(texts)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		head := make([]byte, 13)
		if _, err := io.ReadFull(conn, head); err != nil || string(head[:5]) != "ZBXD\x01" {
			return
		}
		text := make([]byte, binary.LittleEndian.Uint64(head[5:]))
		if _, err := io.ReadFull(conn, text); err == nil {
			texts <- string(text)
			_, _ = conn.Write([]byte(answer)) // the test sees what comes of it
		}
	}()
	return listener.Addr().String(), texts
}

func zabbixText(text string) string {
	return string(binary.LittleEndian.AppendUint64([]byte("ZBXD\x01"), uint64(len(text)))) + text
}

func TestMetricsAreSentToZabbix(t *testing.T) {
	for _, tt := range []struct{ answer, fails string }{
		{zabbixText(`{"response":"success","info":"processed: 2"}`), ""},
		{zabbixText(`{"response":"failed","info":"no"}`), "refused the values: failed no"},
		{zabbixText(`{`), "the answer: "},
		{"HTTP/1.1 400 Bad Request", "not one of a Zabbix server"},
		{"ZBXD\x01\xff\xff\xff\xff\xff\xff\xff\xff", "not one of a Zabbix server"},
		{"", "reading the answer: "},
	} {
		address, received := zabbixServer(t, tt.answer)
		var pushers Pushers
		pushers.Replace(PushSettings{PushConfig: uwsgiopts.PushConfig{Pushes: []uwsgiopts.Push{{Kind: "zabbix", Address: address, Host: "web1", Prefix: "shop"}}}})
		err := pushers.all[0].send(context.Background(), sample(), time.Now())
		if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
			t.Errorf("%q: %v, want %q", tt.answer, err, tt.fails)
		}
		var got struct {
			Request string
			Data    []struct{ Host, Key, Value string }
		}
		if err := json.Unmarshal([]byte(<-received), &got); err != nil {
			t.Fatal(err)
		}
		if got.Request != "sender data" || !strings.Contains(fmt.Sprint(got.Data), "{web1 shop.worker.0.requests 16}") {
			t.Errorf("%+v", got)
		}
	}
}

func TestTheZabbixTemplateHasAnItemForEachMetric(t *testing.T) {
	var out strings.Builder
	metrics := []Metric{{Name: "a<b", Kind: uwsgiopts.Gauge}, {Name: "requests", Kind: uwsgiopts.Counter}}
	if err := WriteZabbixTemplate(&out, "uwsgi", metrics); err != nil {
		t.Fatal(err)
	}
	var got zabbixExport
	if err := xml.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	items := got.Templates[0].Items
	if len(items) != 2 || items[0].Key != "uwsgi.a<b" || items[0].Type != "TRAP" || items[0].Preprocessing != nil || items[1].Preprocessing.Step.Type != "CHANGE_PER_SECOND" {
		t.Errorf("%+v", items)
	}
}
