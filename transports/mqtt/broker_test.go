package mqtt

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// fake is a broker that says what its test wants it to.
type fake struct {
	t        testing.TB
	listener net.Listener
}

func newFake(t testing.TB) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return &fake{t, listener}
}

func (f *fake) bind() string { return "mqtt://" + f.listener.Addr().String() }

// peer is a client's connection, from the broker's side.
type peer struct {
	t    testing.TB
	conn net.Conn
}

// accept takes the next connection, and answers its CONNECT with a return code.
// accept takes the next connection, without a session.
func (f *fake) accept(code byte) *peer {
	f.t.Helper()
	p, _ := f.connected()
	p.write(0x20, 2, 0, code)
	return p
}

// resume takes the next connection, whose session there is.
func (f *fake) resume() *peer {
	f.t.Helper()
	p, _ := f.connected()
	p.write(0x20, 2, 1, 0)
	return p
}

// connected takes the next connection, and what it has said.
func (f *fake) connected() (*peer, *packets.ConnectPacket) {
	f.t.Helper()
	if err := f.listener.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		f.t.Fatal(err)
	}
	conn, err := f.listener.Accept()
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	p := &peer{f.t, conn}
	return p, expect[*packets.ConnectPacket](p)
}

func (p *peer) write(data ...byte) {
	p.t.Helper()
	if _, err := p.conn.Write(data); err != nil {
		p.t.Fatal(err)
	}
}

// publish sends a message.
func (p *peer) publish(topic, payload string, qos byte, id uint16, duplicate bool) {
	p.t.Helper()
	m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	m.TopicName, m.Payload, m.Qos, m.MessageID, m.Dup = topic, []byte(payload), qos, id, duplicate
	var data bytes.Buffer
	if err := m.Write(&data); err != nil {
		p.t.Fatal(err)
	}
	p.write(data.Bytes()...)
}

// next is the client's next packet; nil: there is none.
func (p *peer) next(wait time.Duration) packets.ControlPacket {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		p.t.Fatal(err)
	}
	packet, err := packets.ReadPacket(p.conn)
	if err != nil {
		return nil
	}
	return packet
}

// expect is the client's next packet, of that kind.
func expect[T packets.ControlPacket](p *peer) T {
	p.t.Helper()
	packet := p.next(20 * time.Second)
	wanted, ok := packet.(T)
	if !ok {
		p.t.Fatalf("the client sent %v, want %T", packet, wanted)
	}
	return wanted
}

// silent checks that the client has sent nothing: what it was to send before its next packet would have come.
func (p *peer) silent() {
	p.t.Helper()
	if packet := p.next(200 * time.Millisecond); packet != nil {
		p.t.Fatalf("the client sent %v", packet)
	}
}

// gone waits until the client has closed the connection.
func (p *peer) gone() {
	p.t.Helper()
	for p.next(20*time.Second) != nil {
	}
	if err := p.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		p.t.Fatalf("the connection is still there: %v", err)
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}
