package sockets

import (
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

func TestUwsgiSocketsWaitForData(t *testing.T) {
	for _, c := range []struct {
		protocol string
		off      bool
		defers   bool
	}{{"uwsgi", false, true}, {"uwsgi", true, false}, {"http", false, false}} {
		o := opener(t, uwsgiopts.Socket{Address: "127.0.0.1:0", Protocol: c.protocol})
		o.Config.NoDeferAccept = c.off
		seconds, err := unix.GetsockoptInt(o.mustOpen(t)[0].FD, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT)
		if err != nil || seconds > 0 != c.defers {
			t.Errorf("%s, no-defer-accept %v: %d s, %v", c.protocol, c.off, seconds, err)
		}
	}
}
