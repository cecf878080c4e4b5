package relay

import (
	"net/netip"

	"envoxyd/internal/routerspec"
	"envoxyd/internal/stream"
	"envoxyd/transports/http"
)

// Client is a connection of a client, ready for the front to read from.
type Client struct {
	*stream.Conn
	Front  *routerspec.Socket
	Peer   netip.AddrPort // who has connected; not valid for unix sockets
	Secure *Secure        // nil: it does not speak TLS
}

// Secure is what a handshake of TLS has found out.
type Secure struct {
	Host string // that the client has asked for, in lower case; "": none
	Vars []byte // variables of requests, in packet form
	// Misdirected tells that requests for a host do not belong to the connection; nil: all do.
	Misdirected func(host []byte) bool
	Proxy       http.Addresses // of a PROXY header in front of the handshake
}
