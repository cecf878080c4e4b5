package sockets

import (
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/uwsgiopts"
)

func fastOpenOf(t *testing.T, s *Socket) int {
	t.Helper()
	length, err := unix.GetsockoptInt(s.FD, unix.IPPROTO_TCP, unix.TCP_FASTOPEN)
	if err != nil {
		t.Fatal(err)
	}
	return length
}

// A reload changes sockets that serve only when its configuration does.
func TestFastOpenOverReloads(t *testing.T) {
	if mode, _ := kernelSetting("ipv4/tcp_fastopen"); mode&fastOpenUnasked != 0 {
		t.Skip("every socket has it here")
	}
	o := opener(t, uwsgiopts.Socket{Protocol: "http", Address: "127.0.0.1:0"}, uwsgiopts.Socket{Protocol: "uwsgi", Address: "u.sock"})
	o.Config.Stats = []string{"127.0.0.1:0"}
	for _, step := range []struct{ wanted, before, after int }{{0, 0, 0}, {5, 0, 5}, {5, 5, 5}, {9, 5, 9}, {0, 9, 0}} {
		o.Config.TCPFastOpen = step.wanted
		list := o.mustOpen(t)
		if got := fastOpenOf(t, list[0]); got != step.before {
			t.Errorf("%d wanted: %d before the configuration serves, want %d", step.wanted, got, step.before)
		}
		Own(list, o.Config.Listen)
		if got := fastOpenOf(t, list[0]); got != step.after {
			t.Errorf("%d wanted: %d when it serves, want %d", step.wanted, got, step.after)
		}
		if got := fastOpenOf(t, list[2]); got != step.after {
			t.Errorf("%d wanted: %d of the statistics, want %d", step.wanted, got, step.after)
		}
	}
	fresh := opener(t, uwsgiopts.Socket{Protocol: "http", Address: "127.0.0.1:0"})
	fresh.Config.TCPFastOpen = 6
	if got := fastOpenOf(t, fresh.mustOpen(t)[0]); got != 6 {
		t.Errorf("a new socket has %d, want 6", got)
	}
}
