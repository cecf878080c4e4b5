package worker

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"envoxyd/internal/workerspec"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
	uwsgitransport "envoxyd/transports/uwsgi"
)

func TestASlowRequestDoesNotHoldTheCore(t *testing.T) {
	s := newStage(t, "http", nil)
	slow, quick := s.connect(), s.connect()
	s.send(slow, "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")
	s.send(quick, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n")
	if vars, _ := s.request(); vars["PATH_INFO"] != "/quick" {
		t.Fatalf("served %s first", vars["PATH_INFO"])
	}
	s.answer(okReply)
	s.send(slow, "cde")
	vars, body := s.request()
	if vars["PATH_INFO"] != "/slow" || body != "abcde" {
		t.Fatalf("served %s with %q", vars["PATH_INFO"], body)
	}
	s.expect(quick, okReply)
}

func TestAChunkedBodyArrivesDecodedWithItsLength(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	s.send(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
	vars, body := s.request()
	if body != "abcde" || vars["CONTENT_LENGTH"] != "5" || s.slot.io.flags&reqTerminated == 0 {
		t.Fatalf("body %q, length %q", body, vars["CONTENT_LENGTH"])
	}
}

func TestALargeBodyGoesThroughAFile(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	text := strings.Repeat("0123456789", 300_000)
	go func() { _, _ = c.Write([]byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n" + text)) }()
	if _, body := s.request(); body != text {
		t.Fatalf("%d bytes of body, want %d", len(body), len(text))
	}
	if s.slot.response.body.file == nil {
		t.Fatal("the body is in memory")
	}
}

func TestABodyThatIsCutShortReachesTheApplicationAsSuch(t *testing.T) {
	s := newStage(t, "uwsgi", nil)
	c := s.connect()
	var block []byte
	for _, v := range [][2]string{{"REQUEST_METHOD", "POST"}, {"CONTENT_LENGTH", "5"}} {
		block = uwsgi.AppendVar(block, v[0], v[1])
	}
	s.send(c, string(uwsgi.AppendHeader(nil, uwsgi.Header{Size: len(block)}))+string(block)+"abc")
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_, body := s.request()
	if body != "abc" || s.slot.io.body_state != bodyClosed || s.slot.io.content_length != 5 {
		t.Fatalf("body %q, state %d of %d bytes", body, s.slot.io.body_state, s.slot.io.content_length)
	}
}

func TestRefusedRequestsNeverReachTheApplication(t *testing.T) {
	for name, c := range map[string]struct{ text, reply string }{
		"malformed":          {"GET / HTTP/1.1\r\nnocolon\r\n\r\n", "HTTP/1.1 400 "},
		"head too long":      {"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 5000) + "\r\n\r\n", "HTTP/1.1 431 "},
		"body over limit":    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", "HTTP/1.1 413 "},
		"chunks over limit":  {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n", "HTTP/1.1 413 "},
		"malformed chunks":   {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "HTTP/1.1 400 "},
		"slow and malformed": {"GET / HTTP/1.1\r\nHost: h\r\nbad", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, "http", func(spec *workerspec.Spec) { spec.Limits.LimitPost = 10 })
			bad, good := s.connect(), s.connect()
			s.send(bad, c.text)
			if name == "slow and malformed" {
				s.send(bad, " line\r\n\r\n")
				c.reply = "HTTP/1.1 400 "
			}
			done := make(chan string, 1)
			go func() {
				reply, _ := io.ReadAll(bad) // a reset behind the reply is fine
				s.sendQuietly(good)
				done <- string(reply)
			}()
			if vars, _ := s.request(); vars["PATH_INFO"] != "/p" {
				t.Fatalf("served %v", vars)
			}
			if reply := <-done; !strings.HasPrefix(reply, c.reply) {
				t.Fatalf("answered %q, want %q", reply, c.reply)
			}
		})
	}
}

func TestWhatTheVariablesSayAboutTheRequest(t *testing.T) {
	p := parser{w: &Worker{}}
	p.w.spec.Limits.MaxVars = 8
	for _, c := range []struct {
		pairs  []string
		flags  uint32
		length int64
	}{
		{[]string{"SERVER_PROTOCOL", "HTTP/1.1"}, 0, 0},
		{[]string{"SERVER_PROTOCOL", "HTTP/2.0"}, 0, 0},
		{[]string{"X", "y"}, reqHTTP10, 0},
		{[]string{"SERVER_PROTOCOL", "HTTP/1.1", "HTTPS", "on"}, reqHTTPS, 0},
		{[]string{"SERVER_PROTOCOL", "HTTP/1.1", "HTTPS", "off"}, 0, 0},
		{[]string{"SERVER_PROTOCOL", "HTTP/1.1", "HTTP_X_FORWARDED_PROTO", "https,http"}, reqHTTPS, 0},
		{[]string{"SERVER_PROTOCOL", "HTTP/1.1", "HTTP_X_FORWARDED_PROTO", "httpsx"}, 0, 0},
		{[]string{"SERVER_PROTOCOL", "HTTP/1.1", "REQUEST_METHOD", "HEAD"}, reqNoBody, 0},
		{[]string{"SERVER_PROTOCOL", "HTTP/1.1", "CONTENT_LENGTH", "12x"}, 0, 12},
		{[]string{"SERVER_PROTOCOL", "HTTP/1.1", "CONTENT_LENGTH", "-5"}, 0, 0},
	} {
		var block []byte
		for i := 0; i < len(c.pairs); i += 2 {
			block = uwsgi.AppendVar(block, c.pairs[i], c.pairs[i+1])
		}
		var got parsed
		if err := p.scan(block, &got); err != nil || got.flags != c.flags || p.request.length != c.length {
			t.Errorf("%v: flags %b, length %d, %v; want %b, %d", c.pairs, got.flags, p.request.length, err, c.flags, c.length)
		}
	}
}

func TestPingIsAnswered(t *testing.T) {
	s := newStage(t, "uwsgi", nil)
	ping, good := s.connect(), s.connect()
	s.send(ping, string(uwsgi.AppendHeader(nil, uwsgi.Header{Modifier1: uwsgi.ModifierPing})))
	block := uwsgi.AppendVar(nil, "A", "b")
	s.send(good, string(uwsgi.AppendHeader(nil, uwsgi.Header{Size: len(block)}))+string(block))
	if vars, _ := s.request(); vars["A"] != "b" {
		t.Fatalf("served %v", vars)
	}
	s.expect(ping, "\x64\x00\x00\x01")
	s.expectEnd(ping)
}

// A router may ask for its connection to be kept: it is told, and sends request after request.
func TestAConnectionIsKeptForWhoAsks(t *testing.T) {
	const greeting = "\x64\x00\x00K"
	block := uwsgi.AppendVar(nil, "A", "b")
	packet := string(uwsgi.AppendHeader(nil, uwsgi.Header{Size: len(block)})) + string(block)
	for name, first := range map[string]string{"in one piece": greeting + packet, "torn": greeting[:2]} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, "uwsgi", nil)
			c := s.connect()
			s.send(c, first)
			if first == greeting[:2] {
				go func() {
					for s.w.receiving.Load() == 0 {
						runtime.Gosched()
					}
					_, _ = io.WriteString(c, greeting[2:]+packet) // what has become of it is seen below
				}()
			}
			for range 2 {
				if vars, _ := s.request(); vars["A"] != "b" {
					t.Fatalf("served %v", vars)
				}
				s.answer(okReply)
				s.send(c, packet)
			}
			s.request()
			s.expect(c, greeting+okReply+okReply)
			s.w.Stop(stopping, exitEnd)
			s.answer(okReply)
			for s.slot.next() != nextStop {
			}
			s.expect(c, okReply)
			s.expectEnd(c)
		})
	}
}

// A router that passes chunks on as they come says so, and gives no length (uWSGI's http-chunked-input). nginx says so too,
// but has taken the chunks apart and gives the length.
func TestChunksOverTheUwsgiProtocol(t *testing.T) {
	for _, c := range []struct {
		name   string
		vars   []string
		framed bool
	}{
		{"as they come", []string{"REQUEST_METHOD", "POST", "HTTP_TRANSFER_ENCODING", "chunked"}, true},
		{"as they come, with an empty length", []string{"CONTENT_LENGTH", "", "HTTP_TRANSFER_ENCODING", "chunked"}, true},
		{"taken apart", []string{"CONTENT_LENGTH", "5", "HTTP_TRANSFER_ENCODING", "chunked"}, false},
		{"of nothing", []string{"CONTENT_LENGTH", "0", "HTTP_TRANSFER_ENCODING", "chunked"}, false},
		{"another coding", []string{"HTTP_TRANSFER_ENCODING", "gzip"}, false},
		{"none", []string{"REQUEST_METHOD", "GET"}, false},
	} {
		var block []byte
		for i := 0; i < len(c.vars); i += 2 {
			block = uwsgi.AppendVar(block, c.vars[i], c.vars[i+1])
		}
		packet := uwsgi.AppendHeader(nil, uwsgi.Header{Size: len(block)})
		packet = append(packet, block...)
		packet = append(packet, "5\r\nhello\r\n0\r\n\r\n"...)
		p := parser{w: &Worker{}}
		p.w.spec.Limits.MaxVars = 8
		l := &listener{transport: &uwsgitransport.Transport, socket: transports.Socket{Limit: 4096}}
		q := p.preparse(l, &transports.Conn{Socket: &l.socket}, packet)
		if q.Err != nil || (q.Body != nil) != c.framed {
			t.Errorf("%s: framed %v, %v", c.name, q.Body != nil, q.Err)
		}
		if c.framed && cap(q.Vars) != len(q.Vars) {
			t.Errorf("%s: what is appended to the variables would overwrite the body", c.name)
		}
	}
}
