package worker

import "envoxyd/routing"

// forward has another server answer.
func (s *slot) forward(cn *conn, p *parsed, proxy *routing.Proxy) {
	panic("TODO")
}
