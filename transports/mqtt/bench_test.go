package mqtt

import (
	"bytes"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// BenchmarkReceive is a message's way from the broker to the receiver, and back for QoS 1.
func BenchmarkReceive(b *testing.B) {
	for qos, name := range []string{"QoS 0", "QoS 1"} {
		b.Run(name, func(b *testing.B) {
			f := newFake(b)
			received := make(chan struct{}, 1)
			count := 0
			c, err := Open(Config{Bind: f.bind(), ClientID: "bench", Clean: true}, func(m *Message) {
				m.Done()
				if count++; count == b.N {
					received <- struct{}{}
				}
			}, func(bool, string) {})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { c.Close(0, false) })
			p := f.accept(0)
			<-c.Ready()
			m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			m.TopicName, m.Payload, m.Qos = "/bench/1", bytes.Repeat([]byte{'x'}, 100), byte(qos)
			var batch bytes.Buffer
			for id := range 1000 {
				m.MessageID = uint16(id + 1)
				_ = m.Write(&batch)
			}
			size := batch.Len() / 1000
			go func() { // the answers, until the connection ends
				buffer := make([]byte, 64<<10)
				for {
					if _, err := p.conn.Read(buffer); err != nil {
						return
					}
				}
			}()
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= 1000 {
				_, _ = p.conn.Write(batch.Bytes()[:size*min(left, 1000)])
			}
			<-received
		})
	}
}
