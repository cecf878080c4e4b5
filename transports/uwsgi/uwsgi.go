// Package uwsgi receives requests of the uwsgi protocol, as nginx's uwsgi_pass and uWSGI's own
// router send them: a packet with the variables, and behind it the body.
package uwsgi

import (
	"bytes"

	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
)

// Transport is the protocol with one request a connection.
var Transport = transports.Transport{New: func() transports.Receiver { return Receiver{} }}

// Persistent is the protocol with packet after packet on a connection (puwsgi). Nothing tells where
// a body would end, so there are none.
var Persistent = transports.Transport{New: func() transports.Receiver { return Receiver{persistent: true} }}

var (
	pong     = uwsgi.AppendHeader(nil, uwsgi.Header{Modifier1: uwsgi.ModifierPing, Modifier2: uwsgi.PingAnswer})
	keepPong = uwsgi.AppendHeader(nil, uwsgi.Header{Modifier1: uwsgi.ModifierPing, Modifier2: uwsgi.PingKeep})
)

// Receiver reads packets.
type Receiver struct{ persistent bool }

// Receive implements transports.Receiver. The variables are where they are in data.
func (r Receiver) Receive(c *transports.Conn, data, room []byte) (q transports.Request) {
	if len(data) < uwsgi.HeaderSize {
		return q
	}
	header := uwsgi.ParseHeader(data)
	if len(c.Modifiers) > 0 && bytes.IndexByte(c.Modifiers, header.Modifier1) < 0 {
		q.Err = transports.ModifierError(header.Modifier1)
		return q
	}
	if header.Modifier1 == uwsgi.ModifierPing && header.Modifier2 == uwsgi.PingKeep && header.Size == 0 && c.KeepAlive {
		c.Kept = true
		q.HeadSize, q.Answer, q.Keep = uwsgi.HeaderSize, keepPong, true
		return q
	}
	if header.Modifier1 == uwsgi.ModifierPing {
		q.Answer, q.Note = pong, "PING"
		return q
	}
	if header.Size > c.Limit {
		q.Err = &transports.TooLongError{Size: header.Size, Limit: c.Limit}
		return q
	}
	q.HeadSize = uwsgi.HeaderSize + header.Size
	if len(data) < q.HeadSize {
		return q
	}
	block := data[uwsgi.HeaderSize:q.HeadSize]
	switch header.Modifier1 {
	case uwsgi.ModifierPython, uwsgi.ModifierManage:
	case uwsgi.ModifierSpool, uwsgi.ModifierSignal, uwsgi.ModifierCache, uwsgi.ModifierRPC:
		return service(q, header, block, room)
	default:
		if header.Modifier1 != uwsgi.ModifierCGI || !c.CGI {
			q.Err = transports.ModifierError(header.Modifier1)
			return q
		}
	}
	if header.Size == 0 {
		q.Err = transports.ErrEmpty
		return q
	}
	q.Modifier1, q.Modifier2 = header.Modifier1, header.Modifier2
	q.Vars = block
	q.Length = transports.FromVars
	q.NoBody, q.Keep = r.persistent, r.persistent || c.Kept
	return q
}
