// Package rawrouter is a router's front for any protocol over TCP, or over TLS that ends here: it passes bytes on to
// nodes that are chosen by the address that a client has connected to, or by the host that its handshake names.
package rawrouter

import (
	"bytes"
	"errors"
	"net/netip"

	"envoxyd/internal/stream"
	"envoxyd/router/relay"
)

// greetingLimit is how long a mail server's greeting may be, bytes.
const greetingLimit = 4096

// Router serves clients of any protocol.
type Router struct {
	up       *relay.Upstreams
	settings Settings
}

// Settings are what the options say.
type Settings struct {
	XClient bool // nodes are told the client's address by XCLIENT (Postfix, XCLIENT_README)
	ByHost  bool // the host of the handshake is the key, where the client has sent one
}

// New makes the router.
func New(up *relay.Upstreams, settings Settings) *Router { return &Router{up, settings} }

// Serve serves one connection to its end.
func (r *Router) Serve(client *relay.Client) {
	defer client.Close()
	addr := ""
	if client.Peer.IsValid() {
		addr = client.Peer.Addr().String()
	}
	key := client.Front.Key
	if r.settings.ByHost && client.Secure != nil && client.Secure.Host != "" {
		key = client.Secure.Host
	}
	up, err := r.up.Attempt(key, addr).Next(true)
	if err != nil {
		return
	}
	defer up.Close()
	if r.settings.XClient && addr != "" {
		if err := r.announce(client.Conn, up, client.Peer.Addr()); err != nil {
			r.up.Logf("[uwsgi-%s] node %s: XCLIENT: %v", r.up.Kind, up.Address, err)
			return
		}
	}
	up.Answered()
	received, sent := relay.Tunnel(client.Conn, up.Conn, r.up.Timeout())
	up.Received, up.Sent = uint64(received), uint64(sent)
}

// announce says who the client is once the node has greeted, and passes on what the node answers: another greeting,
// or, where it does not know the command, the first one.
func (r *Router) announce(client *stream.Conn, up *relay.Upstream, addr netip.Addr) error {
	greeting, err := r.reply(up)
	if err != nil {
		return err
	}
	text := addr.String()
	if addr.Is6() {
		text = "IPV6:" + text
	}
	up.WriteTimeout(r.up.Timeout())
	if _, err := up.Write([]byte("XCLIENT ADDR=" + text + "\r\n")); err != nil {
		return err
	}
	answer, err := r.reply(up)
	if err != nil {
		return err
	}
	if answer[0] == '2' {
		greeting = answer
	}
	client.WriteTimeout(r.up.Timeout())
	_, err = client.Write(greeting)
	return err
}

var errGreeting = errors.New("the node did not answer as mail servers do")

// reply reads one reply of SMTP, which may have several lines.
func (r *Router) reply(up *relay.Upstream) ([]byte, error) {
	reply := make([]byte, 0, 512)
	for {
		for rest := reply; ; {
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				break
			}
			if end < 4 {
				return nil, errGreeting
			}
			if rest[3] != '-' { // the last line
				return reply, nil
			}
			rest = rest[end+1:]
		}
		if len(reply) >= greetingLimit {
			return nil, errGreeting
		}
		if len(reply) == cap(reply) {
			reply = append(make([]byte, 0, 2*cap(reply)), reply...)
		}
		n, err := up.ReadFor(reply[len(reply):cap(reply)], r.up.Timeout())
		if n == 0 {
			return nil, errors.Join(errGreeting, err)
		}
		reply = reply[:len(reply)+n]
	}
}
