package worker

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/workerspec"
	"envoxyd/protocol/uwsgi"
)

// gatewayStage is a stage whose core takes the gateway's deliveries, and the gateway's end of the handover socket.
func gatewayStage(t *testing.T) (*stage, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fds[1]) })
	return newStage(t, "http", func(spec *workerspec.Spec) { spec.HandoverFD = [2]int{fds[0], fds[1]} }), fds[1]
}

// delivery is a packet of the gateway's.
func delivery(path string, ends byte) string {
	vars := uwsgi.AppendVar(uwsgi.AppendVar(nil, "REQUEST_METHOD", "EVENT"), "PATH_INFO", path)
	return string(append(uwsgi.AppendHeader(nil, uwsgi.Header{Modifier2: ends, Size: len(vars)}), vars...))
}

// deliver makes a connection with a packet, for the core to take.
func (s *stage) deliver(handover int, packet string) net.Conn {
	s.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		s.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[0]), "delivery")
	c, err := net.FileConn(file)
	file.Close()
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		s.Fatal(err)
	}
	s.send(c, packet)
	if err := unix.Sendmsg(handover, []byte(`{"Listener":-1}`), unix.UnixRights(fds[1]), nil, 0); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = unix.Close(fds[1]) }) // a child of the application's has a copy
	return c
}

const (
	marks = "HTTP/1.1 200 OK\r\n\r\n."
	kept  = string(rune(gatewayspec.Link))

	answeredAndKept = marks + kept
)

// served has the core take a request of this path.
func (s *stage) served(path string) {
	s.Helper()
	if vars, _ := s.request(); vars["PATH_INFO"] != path {
		s.Fatalf("served %s, want %s", vars["PATH_INFO"], path)
	}
}

// marked is an answer whose length nothing but the gateway's knowledge tells.
func (s *stage) marked() {
	s.answer(marks)
	s.slot.io.result = 0
}

// keptWhileBusy is a connection that the core keeps; it has another delivery in hand.
func (s *stage) keptWhileBusy(handover int) (kept, busy net.Conn) {
	s.Helper()
	first := s.deliver(handover, delivery("/1", gatewayspec.EndsWithMarks))
	s.served("/1")
	s.marked()
	second := s.deliver(handover, delivery("/2", gatewayspec.EndsWithMarks))
	s.served("/2")
	s.expect(first, answeredAndKept)
	return first, second
}

func TestTheGatewaysConnectionServesDeliveryAfterDelivery(t *testing.T) {
	s, handover := gatewayStage(t)
	c := s.deliver(handover, delivery("/1", gatewayspec.EndsWithMarks))
	s.served("/1")
	s.marked()
	s.send(c, delivery("/2", gatewayspec.EndsAsHTTP))
	s.served("/2")
	s.expect(c, answeredAndKept)
	s.answer(okReply)
	s.send(c, delivery("/3", gatewayspec.EndsWithStream))
	s.served("/3")
	s.expect(c, okReply+kept)
	s.answer(okReply)
	s.deliver(handover, delivery("/4", gatewayspec.EndsWithMarks))
	s.served("/4")
	s.expect(c, okReply) // nothing says how this one ends
	s.expectEnd(c)
}

func TestACoreKeepsOneConnectionOfTheGateways(t *testing.T) {
	s, handover := gatewayStage(t)
	first, second := s.keptWhileBusy(handover)
	s.marked()
	s.send(first, delivery("/3", gatewayspec.EndsWithMarks))
	s.served("/3")
	s.expect(second, marks)
	s.expectEnd(second)
}

func TestAResponseThatDoesNotSayItsLengthEndsTheGatewaysConnection(t *testing.T) {
	s, handover := gatewayStage(t)
	c := s.deliver(handover, delivery("/1", gatewayspec.EndsAsHTTP))
	s.served("/1")
	s.marked()
	s.deliver(handover, delivery("/2", gatewayspec.EndsWithMarks))
	s.served("/2")
	s.expect(c, marks)
	s.expectEnd(c)
}

func TestAWorkerThatLeavesClosesTheGatewaysConnections(t *testing.T) {
	for _, phase := range []int32{reloading, stopping} {
		s, handover := gatewayStage(t)
		idle, _ := s.keptWhileBusy(handover)
		s.w.Stop(phase, 0)
		s.marked()
		if got := s.slot.next(); got != nextStop {
			t.Fatalf("next() is %d, want the end", got)
		}
		s.expectEnd(idle)
	}
}

func TestWhatIsSentToAWorkerThatLeavesIsServed(t *testing.T) {
	s, handover := gatewayStage(t)
	c, _ := s.keptWhileBusy(handover)
	s.w.Stop(stopping, 0)
	s.send(c, delivery("/3", gatewayspec.EndsWithMarks))
	s.marked()
	s.served("/3")
	s.marked()
	if got := s.slot.next(); got != nextStop {
		t.Fatalf("next() is %d, want the end", got)
	}
	s.expect(c, marks)
	s.expectEnd(c)
}

func TestWhatIsSentToABusyCoreGoesBack(t *testing.T) {
	s, handover := gatewayStage(t)
	c := s.deliver(handover, delivery("/1", gatewayspec.EndsWithMarks))
	s.served("/1")
	s.marked()
	other := s.connect()
	s.send(other, get)
	s.served("/p")
	s.expect(c, answeredAndKept)
	s.send(c, delivery("/2", gatewayspec.EndsWithMarks)) // the core is in the application, for long
	s.expect(c, string(rune(gatewayspec.Unread)))
	s.expectEnd(c)
}
