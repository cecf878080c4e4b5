package sockets

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Bits of net.ipv4.tcp_fastopen.
const (
	fastOpenForServers = 1 << 1
	fastOpenUnasked    = 1 << 10 // every socket that listens has it, without the option
)

// setFastOpen gives a TCP socket that listens already the queue that its configuration wants.
func (s *Socket) setFastOpen() {
	length, err := unix.GetsockoptInt(s.FD, unix.IPPROTO_TCP, unix.TCP_FASTOPEN)
	if err != nil || length == s.fastOpen {
		return // err: of a unix socket
	}
	if mode, _ := kernelSetting("ipv4/tcp_fastopen"); s.fastOpen == 0 && mode&fastOpenUnasked != 0 {
		return
	}
	_ = unix.SetsockoptInt(s.FD, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, s.fastOpen) // what can be read can be set
}

// reportFastOpen says what the kernel makes of --tcp-fast-open.
func (o *Opener) reportFastOpen() {
	wanted := o.Config.TCPFastOpen
	if wanted == 0 {
		return
	}
	if mode, ok := kernelSetting("ipv4/tcp_fastopen"); ok && mode&fastOpenForServers == 0 {
		o.Logf("tcp-fast-open has no effect: the kernel has it switched off for servers (net.ipv4.tcp_fastopen is %d, %d is needed)", mode, mode|fastOpenForServers)
	}
	if most, ok := kernelSetting("core/somaxconn"); ok && wanted > most {
		o.Logf("tcp-fast-open: the kernel makes the queue of %d one of %d (net.core.somaxconn)", wanted, most)
	}
}

// kernelSetting reads a number below /proc/sys/net.
func kernelSetting(name string) (value int, ok bool) {
	text, err := os.ReadFile("/proc/sys/net/" + name)
	if err != nil {
		return 0, false
	}
	value, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return value, err == nil
}
