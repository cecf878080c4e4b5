package http

import (
	"bytes"
	"net/netip"
	"strconv"

	"envoxyd/protocol/uwsgi"
)

// maxProxyLine is the longest line of version 1 of the PROXY protocol.
const maxProxyLine = 107

var errProxy = refuse(400, "malformed PROXY line")

// Addresses are those that a PROXY line puts in place of the connection's own.
type Addresses struct{ client, server netip.AddrPort }

// ProxyLine reads a PROXY protocol (version 1) line off the start of data. It
// returns the line's size, 0 when there is none, -1 when more bytes are needed
// to tell.
func ProxyLine(data []byte) (size int, a Addresses, err error) {
	prefix := []byte("PROXY ")
	if n := min(len(data), len(prefix)); !bytes.Equal(data[:n], prefix[:n]) {
		return 0, a, nil
	}
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		if len(data) > maxProxyLine {
			return 0, a, errProxy
		}
		return -1, a, nil
	}
	words := bytes.Fields(data[:end])
	if len(words) >= 2 && string(words[1]) == "UNKNOWN" {
		return end + 1, a, nil
	}
	if len(words) != 6 || string(words[1]) != "TCP4" && string(words[1]) != "TCP6" {
		return 0, a, errProxy
	}
	if a.client, err = addrPort(words[2], words[4]); err == nil {
		a.server, err = addrPort(words[3], words[5])
	}
	if err != nil {
		return 0, a, errProxy
	}
	return end + 1, a, nil
}

func addrPort(host, port []byte) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(string(host))
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	return netip.AddrPortFrom(addr, uint16(n)), err
}

// Apply makes peer speak of the addresses that the proxy named.
func (a Addresses) Apply(peer *Peer) {
	if !a.client.IsValid() {
		return
	}
	peer.RemoteAddr = a.client.Addr().String()
	extra := append([]byte(nil), peer.Extra...) // Extra is the listener's: not ours to grow
	extra = uwsgi.AppendVar(extra, "REMOTE_PORT", strconv.Itoa(int(a.client.Port())))
	extra = uwsgi.AppendVar(extra, "SERVER_ADDR", a.server.Addr().String())
	peer.Extra = uwsgi.AppendVar(extra, "SERVER_PORT", strconv.Itoa(int(a.server.Port())))
}
