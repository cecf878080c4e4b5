package http

import "envoxyd/transports"

// Transport is HTTP/1.0 and 1.1.
var Transport = transports.Transport{New: func() transports.Receiver { return new(receiver) }, Refuses: true, Addressed: true}

type receiver struct{ head Head }

// Receive implements transports.Receiver.
func (r *receiver) Receive(c *transports.Conn, data, room []byte) (q transports.Request) {
	if c.ProxyHeader == transports.AwaitProxy {
		size, addresses, err := ProxyHeader(data)
		if q.Err = err; err != nil || size < 0 {
			return q
		}
		addresses.Apply(c)
		c.ProxyHeader = size
	}
	before := c.ProxyHeader
	data = data[before:]
	n, err := r.head.Parse(data)
	switch {
	case err != nil:
		q.Err = err
		return q
	case n > c.Limit || n == 0 && len(data) > c.Limit:
		q.Err = &transports.TooLongError{Size: max(n, len(data)), Limit: c.Limit}
		return q
	case n == 0:
		return q
	}
	c.ProxyHeader = 0 // what comes later is the client's
	vars, err := r.head.AppendVars(room[:0], c)
	if !q.Take(vars, room, err) {
		return q
	}
	q.HeadSize = before + n
	q.Length, q.Expect = max(r.head.ContentLength, 0), r.head.Continue
	q.Keep = c.KeepAlive && r.head.Persistent()
	if r.head.Chunked {
		q.Body = new(Chunks)
	}
	return q
}
