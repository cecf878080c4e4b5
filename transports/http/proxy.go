package http

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"math"
	"net"
	"strconv"

	"github.com/pires/go-proxyproto"

	"envoxyd/transports"
)

const (
	maxProxyLine   = 107  // of version 1, by its specification
	maxProxyHeader = 4096 // of version 2, without its first bytes
	proxyLength    = 14   // where a header of version 2 has its length
)

var proxyLine = []byte("PROXY ")

var errProxy = refuse(400, "malformed PROXY header")

// Addresses are those that a PROXY header puts in place of the connection's own; nil: it leaves them.
type Addresses struct{ client, server *net.TCPAddr }

// ProxyHeader reads a header of the PROXY protocol, version 1 or 2, off the start of data.
// It returns the header's size, 0 when there is none, -1 when more bytes are needed to tell.
func ProxyHeader(data []byte) (size int, a Addresses, err error) {
	switch size = proxySize(data); {
	case size <= 0:
		return size, a, nil
	case size > proxyLength+2+maxProxyHeader:
		return 0, a, errProxy
	case size > len(data):
		return -1, a, nil
	}
	header, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(data[:size]), size))
	if err != nil || header.Version == 1 && header.Command.IsProxy() && bytes.Count(data[:size], []byte{' '}) != 5 {
		return 0, a, errProxy
	}
	if header.Command.IsLocal() {
		return size, a, nil
	}
	var some [2]bool
	a.client, some[0] = header.SourceAddr.(*net.TCPAddr)
	a.server, some[1] = header.DestinationAddr.(*net.TCPAddr)
	if !some[0] || !some[1] {
		return 0, a, errProxy
	}
	return size, a, nil
}

// proxySize is how large the header at the start of data is, as far as can be told. A line
// that does not end is larger than any.
func proxySize(data []byte) int {
	switch {
	case begins(data, proxyLine) && len(data) >= len(proxyLine):
		if end := bytes.IndexByte(data[:min(len(data), maxProxyLine)], '\n'); end >= 0 {
			return end + 1
		}
		if len(data) >= maxProxyLine {
			return math.MaxInt
		}
		return -1
	case begins(data, proxyproto.SIGV2) && len(data) >= proxyLength+2:
		return proxyLength + 2 + int(binary.BigEndian.Uint16(data[proxyLength:]))
	case begins(data, proxyLine), begins(data, proxyproto.SIGV2):
		return -1
	}
	return 0
}

// begins tells whether data starts with mark, or is the start of it.
func begins(data, mark []byte) bool {
	n := min(len(data), len(mark))
	return bytes.Equal(data[:n], mark[:n])
}

// Apply makes the connection speak of the addresses that the proxy named.
func (a Addresses) Apply(c *transports.Conn) {
	if a.client == nil {
		return
	}
	c.RemoteAddr, c.RemotePort = a.client.IP.String(), strconv.Itoa(a.client.Port)
	c.ServerAddr, c.ServerPort = a.server.IP.String(), strconv.Itoa(a.server.Port)
}
