package snmp

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"envoxyd/internal/shm"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

// packet makes the BER of a request.
func packet(version uint64, community string, kind byte, number string, first, second uint64, names ...oid) []byte {
	var list []byte
	for _, name := range names {
		list = variable{name: name, tag: tagNull}.append(list)
	}
	body := appendValue(nil, tagInteger, []byte(number)...)
	body = appendUnsigned(body, tagInteger, first)
	body = appendUnsigned(body, tagInteger, second)
	body = appendValue(body, tagSequence, list...)
	all := appendUnsigned(nil, tagInteger, version)
	all = appendValue(all, tagOctetString, []byte(community)...)
	return appendValue(nil, tagSequence, appendValue(all, kind, body...)...)
}

// show reads an answer: its error, and its variables below root.
func show(t *testing.T, datagram []byte) string {
	t.Helper()
	all := reader(datagram)
	message, _ := all.take(tagSequence)
	_, _ = message.integer()
	_, _ = message.take(tagOctetString)
	body, ok := message.take(response)
	if !ok {
		t.Fatalf("%x is no answer", datagram)
	}
	number, _ := body.take(tagInteger)
	status, _ := body.integer()
	at, _ := body.integer()
	list, ok := body.take(tagSequence)
	text := fmt.Sprintf("%x %d/%d", []byte(number), status, at)
	for ok && len(list) > 0 {
		var one reader
		if one, ok = list.take(tagSequence); !ok {
			break
		}
		name, _ := one.oid()
		tag, content, _ := one.next()
		text += fmt.Sprintf(" %s:%02x", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(name[len(root):])), "."), "[]"), tag)
		if len(content) > 0 {
			text += fmt.Sprintf("=%x", []byte(content))
		}
	}
	if !ok {
		t.Fatalf("%x is cut short", datagram)
	}
	return text
}

func newValues(t testing.TB) *shm.SNMPValues {
	t.Helper()
	file, err := shm.NewMetricsFile()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	values, err := shm.OpenSNMPValues(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = values.Close() })
	return values
}

// sample has four variables: two counters, a gauge, and a metric.
func sample(t testing.TB) tree {
	values := newValues(t)
	values.Set(1, shm.SNMPCounter32, 1<<32+200)
	values.Set(3, shm.SNMPGauge, 5)
	values.Set(100, shm.SNMPCounter64, 1<<64-1)
	return newTree(&stats.Snapshot{
		Workers:     []stats.Worker{{ID: 1, Counters: stats.Counters{Requests: 7}}, {ID: 2, Counters: stats.Counters{Requests: 2}}},
		ShowMetrics: &stats.MetricsDetail{},
		Added: []stats.Metric{{Name: "mine", OID: "100.1", Value: 3}, {Name: "low", OID: "100.2", Kind: uwsgiopts.Gauge, Value: -1},
			{Name: "high", OID: "100.3", Kind: uwsgiopts.Gauge, Value: 1 << 40}, {Name: "none", OID: "x"}, {Name: "second", OID: "2.3", Value: 77}},
	}, values)
}

func TestAnswers(t *testing.T) {
	all := sample(t)
	far := oid{1, 3, 6, 1, 4, 1, 35156, 18}
	for _, c := range []struct {
		what    string
		version uint64
		kind    byte
		first   uint64
		second  uint64
		names   []oid
		want    string
	}{
		{"requests", v2c, get, 0, 0, []oid{below(1, 1)}, "ff 0/0 1.1:46=09"},
		{"v1, 64 bits too", v1, get, 0, 0, []oid{below(1, 1)}, "ff 0/0 1.1:46=09"},
		{"several", v2c, get, 0, 0, []oid{below(2, 1), below(2, 3), below(2, 100)}, "ff 0/0 2.1:41=00c8 2.3:42=05 2.100:46=00ffffffffffffffff"},
		{"metrics", v2c, get, 0, 0, []oid{below(100, 1), below(100, 2), below(100, 3)}, "ff 0/0 100.1:46=03 100.2:42=00 100.3:42=00ffffffff"},
		{"not set", v2c, get, 0, 0, []oid{below(2, 2), below(1, 100)}, "ff 0/0 2.2:05 1.100:05"},
		{"not there", v2c, get, 0, 0, []oid{below(2, 101), below(2, 0)}, "ff 0/0 2.101:80 2.0:80"},
		{"not there, v1", v1, get, 0, 0, []oid{below(2, 1), below(2, 101)}, "ff 2/2 2.1:05 2.101:05"},
		{"next", v2c, getNext, 0, 0, []oid{below(), below(1, 1), below(2, 1, 9)}, "ff 0/0 1.1:46=09 2.1:41=00c8 2.3:42=05"},
		{"the end", v2c, getNext, 0, 0, []oid{far}, "ff 0/0 :82"},
		{"the end, v1", v1, getNext, 0, 0, []oid{far}, "ff 2/1 :05"},
		{"set", v2c, set, 0, 0, []oid{below(2, 1)}, "ff 17/1 2.1:05"},
		{"set, v1", v1, set, 0, 0, []oid{below(2, 1)}, "ff 2/1 2.1:05"},
		{"bulk", v2c, getBulk, 1, 2, []oid{below(1), below(2)}, "ff 0/0 1.1:46=09 2.1:41=00c8 2.3:42=05"},
		{"bulk of none", v2c, getBulk, 1, 0, []oid{below(1), below(2)}, "ff 0/0 1.1:46=09"},
		{"bulk to the end", v2c, getBulk, 0, 9, []oid{below(100, 3)}, "ff 0/0 100.3:82"},
		{"nothing", v2c, getBulk, 9, 9, nil, "ff 0/0"},
	} {
		q, ok := parse(packet(c.version, "c", c.kind, "\xff", c.first, c.second, c.names...))
		if !ok || string(q.community) != "c" {
			t.Errorf("%s: not understood: %+v", c.what, q)
		} else if got := show(t, q.answer(all)); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.what, got, c.want)
		}
	}
}

func TestABulkAnswerFitsIntoAPacket(t *testing.T) {
	values := newValues(t)
	for number := range shm.SNMPRoom {
		values.Set(number+1, shm.SNMPCounter64, 1<<63)
	}
	q, ok := parse(packet(v2c, "c", getBulk, "\x01", 0, 1<<31-1, below(2), below(2), below(2)))
	answer := q.answer(newTree(&stats.Snapshot{}, values))
	if shown := show(t, answer); !ok || len(answer) < 1000 || len(answer) > 1400 || !strings.HasPrefix(shown, "01 0/0 2.1:46=") {
		t.Errorf("%d bytes: %s", len(answer), shown)
	}
}

func TestOnlyWholeRequestsAreUnderstood(t *testing.T) {
	good := packet(v2c, "public", get, "\x01", 0, 0, below(2, 1))
	for size := range good {
		if _, ok := parse(good[:size]); ok {
			t.Errorf("%d of %d bytes are enough", size, len(good))
		}
	}
	for _, c := range []struct {
		what string
		are  string
		want bool
	}{
		{"lengths of two and four bytes", "3082002f" + "020101" + "0406" + hex.EncodeToString([]byte("public")) + "a084000000" + "1e" + "020101" + "020100" + "020100" + "30820011" + "300f" + "060b2b06010401829254110201" + "0500", true},
		{"v3", hex.EncodeToString(packet(3, "public", get, "\x01", 0, 0)), false},
		{"bulk of v1", hex.EncodeToString(packet(v1, "public", getBulk, "\x01", 0, 0)), false},
		{"an answer", hex.EncodeToString(packet(v1, "public", response, "\x01", 0, 0)), false},
		{"bytes behind", hex.EncodeToString(good) + "00", false},
		{"no length", "3080020101", false},
		{"a long tag", "1f8101", false},
		{"nothing", "", false},
	} {
		datagram, err := hex.DecodeString(c.are)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := parse(datagram); ok != c.want {
			t.Errorf("%s: %v", c.what, ok)
		}
	}
	for content, want := range map[string]bool{"2b": true, "": false, "ab": false, "2b80": false, "2b8fffffff7f": true, "2b9080808000": false, "8fffffff7f": true, "90808080 4f": true, "908080 8051": false} {
		bytes, err := hex.DecodeString(strings.ReplaceAll(content, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		r := reader(appendValue(nil, tagOID, bytes...))
		if id, ok := r.oid(); ok != want {
			t.Errorf("OID %s: %v %v", content, id, ok)
		} else if ok && !strings.HasSuffix(hex.EncodeToString(appendOID(nil, id)), strings.ReplaceAll(content, " ", "")) {
			t.Errorf("OID %s is written %x", content, appendOID(nil, id))
		}
	}
}

type host struct {
	t     *testing.T
	asked chan struct{}
}

func (h host) Logf(format string, args ...any) { h.t.Logf(format, args...) }

func (h host) Ask(ctx context.Context) *stats.Snapshot {
	h.asked <- struct{}{}
	return &stats.Snapshot{}
}

func TestAnAgentAnswersWhoNamesTheCommunity(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file, err := conn.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd := int(file.Fd()) // only once: it makes the socket one that waits
	client, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var agent Agent
	defer agent.Close()
	h, values := host{t, make(chan struct{}, 9)}, newValues(t)
	replace := func(community string) {
		agent.Replace(h, values, Settings{FD: fd, Name: "here", Community: community})
	}
	var buffer [mostBytes]byte
	ask := func(communities ...string) (answered string) {
		for i, community := range communities {
			_, _ = client.Write(packet(v2c, community, get, string(rune(i+1)), 0, 0, below(1, 1)))
		}
		_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
		size, err := client.Read(buffer[:])
		if err != nil {
			t.Fatal(err)
		}
		return show(t, buffer[:size])
	}
	replace("one")
	kept := agent.server
	if got := ask("on", "", "ones", "One", "one"); got != "05 0/0 1.1:46=00" || len(h.asked) != 1 { // they come in this order
		t.Errorf("%s, asked %d times", got, len(h.asked))
	}
	replace("two")
	if got := ask("one", "two"); got != "02 0/0 1.1:46=00" || agent.server != kept {
		t.Errorf("%s", got)
	}
	replace("")
	if answer := kept.answer(packet(v2c, "", get, "\x01", 0, 0, below(1, 1))); answer != nil {
		t.Errorf("answered without a community: %x", answer)
	}
	agent.Replace(h, values, Settings{FD: -1})
	if agent.server != nil {
		t.Error("it answers without a socket")
	}
}

func FuzzDatagram(f *testing.F) {
	all := sample(f)
	for _, kind := range []byte{get, getNext, set, getBulk} {
		f.Add(packet(v2c, "public", kind, "\x01", 1, 10, root, below(2, 3), below(100)))
	}
	f.Add(packet(v1, "public", get, "\x80\x00\x00\x00", 0, 0, below(2, 101)))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		if len(datagram) > mostBytes {
			return
		}
		q, ok := parse(datagram)
		if !ok {
			return
		}
		number := bytes.Clone(q.number)
		answer := q.answer(all)
		back := reader(answer)
		message, ok := back.take(tagSequence)
		_, _ = message.integer()
		_, _ = message.take(tagOctetString)
		body, is := message.take(response)
		if repeated, _ := body.take(tagInteger); !ok || !is || len(back) != 0 || !bytes.Equal(repeated, number) || len(answer) > 1<<16 {
			t.Errorf("%x is answered %x", datagram, answer)
		}
	})
}
