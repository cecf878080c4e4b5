// Package rawrouter is a router's front for any protocol over TCP: it passes bytes on to nodes that are chosen by the
// address that a client has connected to.
package rawrouter

import (
	"bytes"
	"errors"
	"net/netip"

	"envoxyd/internal/routerspec"
	"envoxyd/internal/stream"
	"envoxyd/router/relay"
)

// greetingLimit is how long a mail server's greeting may be, bytes.
const greetingLimit = 4096

// Router serves clients of any protocol.
type Router struct {
	up      *relay.Upstreams
	xclient bool
}

// New makes the router. xclient: nodes are told the client's address by XCLIENT (Postfix, XCLIENT_README).
func New(up *relay.Upstreams, xclient bool) *Router { return &Router{up, xclient} }

// Serve serves one connection to its end.
func (r *Router) Serve(client *stream.Conn, front *routerspec.Socket, peer netip.AddrPort) {
	defer client.Close()
	addr := ""
	if peer.IsValid() {
		addr = peer.Addr().String()
	}
	up, err := r.up.Attempt(front.Key, addr).Next(true)
	if err != nil {
		return
	}
	defer up.Close()
	if r.xclient && addr != "" {
		if err := r.announce(client, up, peer.Addr()); err != nil {
			r.up.Logf("[uwsgi-%s] node %s: XCLIENT: %v", r.up.Kind, up.Address, err)
			return
		}
	}
	up.Answered()
	received, sent := relay.Tunnel(client, up.Conn, r.up.Timeout())
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
