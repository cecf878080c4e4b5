package router

import (
	"fmt"
	"net"

	"envoxyd/internal/routerspec"
	"envoxyd/protocol/subscription"
)

// forward passes announcements on to other routers, with this one as the node (--*-resubscribe). Its zero value does not.
type forward struct {
	to []net.Conn
}

func (f *forward) open(spec *routerspec.Routing) error {
	for _, address := range spec.Resubscribe {
		network := "unixgram"
		dialer := net.Dialer{}
		if isUDP(address) {
			network = "udp"
			if spec.ResubscribeBind != "" {
				local, err := net.ResolveUDPAddr("udp", spec.ResubscribeBind)
				if err != nil {
					return fmt.Errorf("resubscribe-bind: %w", err)
				}
				dialer.LocalAddr = local
			}
		}
		conn, err := dialer.Dial(network, address)
		if err != nil {
			return fmt.Errorf("resubscribe %s: %w", address, err)
		}
		f.to = append(f.to, conn)
	}
	return nil
}

// send passes one on.
func (f *forward) send(packet *subscription.Packet, spec *routerspec.Spec) {
	if len(f.to) == 0 || len(spec.Fronts) == 0 {
		return
	}
	own := subscription.Packet{Leave: packet.Leave, Key: packet.Key, Address: spec.Fronts[0].Name}
	data := own.Append(nil)
	for _, conn := range f.to {
		_, _ = conn.Write(data) // the next one comes soon
	}
}
