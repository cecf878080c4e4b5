package worker

import (
	"encoding/json"
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
		AliveFD: alive, Processes: 1, Threads: 1, Cores: 1, EventFD: events, HandoverFD: [2]int{-1, -1}, DeathsFD: -1, VaultFD: -1, MetricsFD: -1,
		Sockets: []workerspec.Socket{{FD: int(file.Fd()), Protocol: protocol, Name: "test", Port: "80"}},
		Limits:  workerspec.Limits{BufferSize: 4096, MaxVars: 128, SocketTimeoutMillis: 5000},
		HTTP:    workerspec.HTTP{TimeoutMillis: 5000},
	}
	if change != nil {
		change(&spec)
	}
	board, err := shm.NewBoard(2, spec.Cores)
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
	memory := make([]coreIO, spec.Cores)
	for i := range memory {
		out := make([]byte, 1<<16)
		memory[i].out, memory[i].out_cap = (*cUint8)(&out[0]), cUint32(len(out))
	}
	w, err := New(document, 1, memory, nil)
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
	return s.inHand()
}

// inHand returns variables and body of the slot's request.
func (s *stage) inHand() (map[string]string, string) {
	s.Helper()
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
