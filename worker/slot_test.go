package worker

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"envoxyd/internal/monotime"
	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/protocol/uwsgi"
)

// stage is a worker with one core, of which the test plays the Python half.
type stage struct {
	*testing.T
	w       *Worker
	slot    *slot
	address string
}

func newStage(t *testing.T, protocol string, change func(*workerspec.Spec)) *stage {
	t.Helper()
	listening, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listening.Close() })
	file, err := listening.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	events, err := unix.Open(os.DevNull, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	alive, master := lifeline(t)
	t.Cleanup(func() { _ = unix.Close(master) })
	spec := workerspec.Spec{
		AliveFD: alive, Processes: 1, Threads: 1, EventFD: events, HandoverFD: [2]int{-1, -1},
		Sockets: []workerspec.Socket{{FD: int(file.Fd()), Protocol: protocol, Name: "test", Port: "80"}},
		Limits:  workerspec.Limits{BufferSize: 4096, MaxVars: 128, SocketTimeoutMillis: 5000},
		HTTP:    workerspec.HTTP{TimeoutMillis: 5000},
	}
	if change != nil {
		change(&spec)
	}
	board, err := shm.NewBoard(1, spec.Threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = board.Close() })
	spec.ScoreboardFD, err = unix.Dup(int(board.File().Fd())) // the worker's own
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	memory := make([]coreIO, spec.Threads)
	for i := range memory {
		out := make([]byte, 1<<16)
		memory[i].out, memory[i].out_cap = (*cUint8)(&out[0]), cUint32(len(out))
	}
	w, err := New(document, 1, memory)
	if err != nil {
		t.Fatal(err)
	}
	return &stage{t, w, w.reactor.slots[0], listening.Addr().String()}
}

// lifeline is the pipe by which a worker knows that its master lives; the worker owns the first end.
func lifeline(t *testing.T) (alive, master int) {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return ends[0], ends[1]
}

func (s *stage) connect() net.Conn {
	s.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		s.Fatal(err)
	}
	return c
}

func (s *stage) send(c net.Conn, text string) {
	s.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		s.Fatal(err)
	}
}

// request runs the core until it has a request, and returns its variables and body.
func (s *stage) request() (map[string]string, string) {
	s.Helper()
	if got := s.slot.next(); got != nextRequest {
		s.Fatalf("next() is %d, want a request", got)
	}
	io := s.slot.io
	vars := map[string]string{}
	for block := unsafe.Slice((*byte)(io.vars), io.vars_len); len(block) > 0; {
		key, value, rest, err := uwsgi.Next(block)
		if err != nil {
			s.Fatal(err)
		}
		vars[string(key)] = string(value)
		block = rest
	}
	if io.body_fd < 0 {
		return vars, string(unsafe.Slice((*byte)(io.body), io.body_len))
	}
	body := make([]byte, io.body_len)
	if _, err := s.slot.response.body.file.ReadAt(body, 0); err != nil {
		s.Fatal(err)
	}
	return vars, string(body)
}

// answer is what C leaves behind when the application has answered.
func (s *stage) answer(text string) {
	io := s.slot.io
	io.out_len = cUint32(copy(unsafe.Slice((*byte)(io.out), io.out_cap), text))
	io.status, io.result = 200, resDelimited
}

const (
	get     = "GET /p?q HTTP/1.1\r\nHost: h\r\n\r\n"
	okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

func (s *stage) expect(c net.Conn, want string) {
	s.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		s.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func (s *stage) expectEnd(c net.Conn) {
	s.Helper()
	rest, err := io.ReadAll(c)
	if err != nil || len(rest) > 0 {
		s.Fatalf("read %q, %v; want the end", rest, err)
	}
}

func TestAConnectionServesRequestAfterRequest(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	for range 3 {
		s.send(c, get)
		vars, _ := s.request()
		if vars["PATH_INFO"] != "/p" || vars["QUERY_STRING"] != "q" || vars["REMOTE_ADDR"] != "127.0.0.1" {
			t.Fatalf("variables are %v", vars)
		}
		s.answer(okReply)
		s.send(c, "GET /last HTTP/1.1\r\nHost: h\r\n\r\n") // the core answers and finds the next one
		s.request()
		s.expect(c, okReply)
		s.answer(okReply)
		other := s.connect()
		s.send(other, get)
		s.request()
		s.expect(c, okReply)
		s.answer(okReply)
	}
}

func TestAResponseOfUnknownLengthEndsWithTheConnection(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	s.send(c, get)
	s.request()
	s.answer("HTTP/1.1 200 OK\r\n\r\nx")
	s.slot.io.result = 0
	other := s.connect()
	s.send(other, get)
	s.request()
	s.expect(c, "HTTP/1.1 200 OK\r\n\r\nx")
	s.expectEnd(c)
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	const requests = 3*mostInRow + 7
	var all strings.Builder
	for n := range requests {
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na%02d", n, n%100)
	}
	s.send(c, all.String())
	for n := range requests {
		vars, body := s.request()
		if vars["PATH_INFO"] != fmt.Sprintf("/%d", n) || body != fmt.Sprintf("a%02d", n%100) {
			t.Fatalf("request %d is %s with %q", n, vars["PATH_INFO"], body)
		}
		s.answer(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%03d", n))
	}
	s.quick()
	for n := range requests {
		s.expect(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%03d", n))
	}
}

// Whatever pieces two requests come in, both are answered, whole and in order.
func TestPipelinedRequestsInEverySplitPosition(t *testing.T) {
	const (
		first  = "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
		second = "POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
		third  = "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"
	)
	all := first + second + third
	s := newStage(t, "http", nil)
	for split := 1; split < len(all); split++ {
		c := s.connect()
		s.send(c, all[:split])
		rest := make(chan struct{})
		go func() { // once the first part was looked at, as far as it goes
			defer close(rest)
			_, _ = c.Write([]byte(all[split:]))
		}()
		for n, want := range []string{"one", "two", ""} {
			vars, body := s.request()
			if vars["PATH_INFO"] != fmt.Sprintf("/%d", n+1) || body != want {
				t.Fatalf("split at %d: request %d is %s with %q", split, n, vars["PATH_INFO"], body)
			}
			s.answer(okReply)
		}
		<-rest
		s.quick()
		s.expect(c, okReply+okReply+okReply)
		s.answer(okReply)
	}
}

func TestPipelinedRequestsAreAnsweredBeforeOneThatIsRefused(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	s.send(c, get+get+"GET / HTTP/9\r\n\r\n")
	s.request()
	s.answer(okReply)
	s.request()
	s.answer(okReply)
	s.quick()
	s.expect(c, okReply+okReply+"HTTP/1.1 505 ")
}

func TestTheLastOfPipelinedRequestsMayEndTheConnection(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	s.send(c, get+"GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"+get)
	for range 2 {
		s.request()
		s.answer(okReply)
	}
	s.quick()
	s.expect(c, okReply+okReply)
	s.expectEnd(c)
}

func TestAClientThatHasSentItsLastIsAnswered(t *testing.T) {
	s := newStage(t, "http", nil)
	kept, fresh := s.connect(), s.connect()
	s.send(kept, get)
	s.request()
	s.answer(okReply)
	s.quick()
	s.expect(kept, okReply)
	for _, c := range []net.Conn{kept, fresh} {
		s.send(c, get+get)
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		s.answer(okReply)
		s.request()
		s.answer(okReply)
		s.request()
		s.answer(okReply)
		s.quick()
		s.expect(c, okReply+okReply)
		s.answer(okReply)
		s.quick() // the reactor has seen the end by now
		s.expectEnd(c)
	}
}

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

func TestAClientThatReadsSlowlyDoesNotHoldTheCore(t *testing.T) {
	s := newStage(t, "http", nil)
	slow := s.connect()
	s.send(slow, get)
	s.request()
	big := strings.Repeat("x", 32<<20)
	s.slot.io.out_len, s.slot.io.result = 0, 0
	if got := s.slot.write([]byte(big), sendLast); got != writeOK {
		t.Fatalf("write() is %d", got)
	}
	quick := s.connect()
	s.send(quick, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n")
	if vars, _ := s.request(); vars["PATH_INFO"] != "/quick" {
		t.Fatalf("served %v", vars)
	}
	s.expect(slow, big)
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

func (s *stage) sendQuietly(c net.Conn) { _, _ = c.Write([]byte(get)) }

func TestAStopServesWhatIsThereAndThenEnds(t *testing.T) {
	s := newStage(t, "http", nil)
	idle, busy := s.connect(), s.connect()
	s.send(idle, get)
	s.request()
	s.answer(okReply)
	s.send(busy, get)
	s.request()
	s.expect(idle, okReply)
	late := s.connect()
	s.send(late, "GET /late HTTP/1.1\r\nHost: h\r\n\r\n")
	s.w.Stop(stopping, exitEnd)
	s.answer(okReply)
	if vars, _ := s.request(); vars["PATH_INFO"] != "/late" {
		t.Fatalf("served %v", vars)
	}
	s.expect(busy, okReply)
	s.answer(okReply)
	if got := s.slot.next(); got != nextStop {
		t.Fatalf("next() is %d, want the end", got)
	}
	s.expect(late, okReply)
	s.expectEnd(idle)
	if s.w.Status() != exitEnd {
		t.Fatalf("status %d", s.w.Status())
	}
}

func TestDuringAReloadAKeptConnectionIsToldToGo(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	s.send(c, get)
	s.request()
	s.answer(okReply)
	other := s.connect()
	s.send(other, get)
	s.request()
	s.expect(c, okReply)
	s.w.Stop(reloading, exitReload)
	s.answer(okReply)
	s.send(c, "GET /after HTTP/1.1\r\nHost: h\r\n\r\n")
	if vars, _ := s.request(); vars["PATH_INFO"] != "/after" || s.slot.io.flags&reqDrain == 0 {
		t.Fatalf("served %v with flags %b", vars, s.slot.io.flags)
	}
}

func TestAWorkerLeavesWhenItsMasterIsGone(t *testing.T) {
	alive, master := lifeline(t)
	s := newStage(t, "http", func(spec *workerspec.Spec) { spec.AliveFD = alive })
	_ = unix.Close(master)
	if got := s.slot.next(); got != nextStop {
		t.Fatalf("next() is %d, want the end", got)
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

func TestDescriptorsChangeHands(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, "http", func(spec *workerspec.Spec) { spec.HandoverFD = pair })
	c := s.connect()
	s.send(c, get)
	s.w.reactor.now = monotime.Now()
	var accepted *conn
	for accepted == nil {
		accepted = s.w.reactor.accept(s.w.listeners[0])
	}
	s.w.reactor.handOver(accepted)
	if vars, _ := s.request(); vars["REMOTE_ADDR"] != "127.0.0.1" {
		t.Fatalf("variables are %v", vars)
	}
	s.answer(okReply)
	other := s.connect()
	s.send(other, get)
	s.request()
	s.expect(c, okReply)
}

func TestARequestCostsNoAllocation(t *testing.T) {
	s := newStage(t, "http", nil)
	c := s.connect()
	sent := []byte(get)
	serve := func() {
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		if s.slot.next() != nextRequest {
			t.Fatal("no request")
		}
		s.answer(okReply)
	}
	reply := make([]byte, len(okReply))
	serve()
	if n := testing.AllocsPerRun(200, func() {
		serve()
		if _, err := io.ReadFull(c, reply); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
