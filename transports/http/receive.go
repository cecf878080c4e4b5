package http

import "envoxyd/transports"

// Transport is HTTP/1.0 and 1.1.
var Transport = transports.Transport{New: func() transports.Receiver { return new(receiver) }, Refuses: true, Addressed: true}

type receiver struct{ head Head }

// Receive implements transports.Receiver.
func (r *receiver) Receive(c *transports.Conn, data, room []byte) (q transports.Request) {
	if !r.parse(c, data, &q) {
		return q
	}
	vars, err := r.head.AppendVars(room[:0], c)
	if !q.Take(vars, room, err) {
		return q
	}
	q.Length, q.Expect = max(r.head.ContentLength, 0), r.head.Continue
	q.Keep = c.KeepAlive && r.head.Persistent()
	if r.head.Chunked {
		q.Body = new(Chunks)
	}
	return q
}

// parse reads the head. False: it is not whole, or refused.
func (r *receiver) parse(c *transports.Conn, data []byte, q *transports.Request) bool {
	if c.ProxyHeader == transports.AwaitProxy {
		size, addresses, err := ProxyHeader(data)
		if q.Err = err; err != nil || size < 0 {
			return false
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
		return false
	case n > c.Limit || n == 0 && len(data) > c.Limit:
		q.Err = &transports.TooLongError{Size: max(n, len(data)), Limit: c.Limit}
		return false
	case n == 0:
		return false
	}
	c.ProxyHeader = 0 // what comes later is the client's
	q.HeadSize = before + n
	return true
}
