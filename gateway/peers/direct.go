package peers

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"

	"envoxyd/gateway/sidecar"
	"envoxyd/internal/gatewayspec"
	"envoxyd/transports/zmq"
)

// maxDirect bounds the requests that are read on the loop.
const maxDirect = 32 << 10

// begin answers a request on the loop itself, as long as nothing has to be waited for. What does goes
// to a goroutine.
func (p *peers) begin(ctx context.Context, asked *zmq.Request, reply func([]byte)) bool {
	if len(asked.Text) > maxDirect {
		return false
	}
	q, refusal := prepare(asked)
	if refusal != nil {
		reply(refusal)
		return true
	}
	p.Workers.Direct(ctx, p.loop.Post, gatewayspec.EndsAsHTTP, q.vars, q.body, func(d *sidecar.Direct) {
		if d == nil {
			p.beside(reply, func() []byte { return p.deliver(ctx, q) })
			return
		}
		p.await(ctx, d, q, reply)
	})
	return true
}

// await takes the worker's answer when there is one.
func (p *peers) await(ctx context.Context, d *sidecar.Direct, q *question, reply func([]byte)) {
	err := p.loop.Watch(d.FD(), func() {
		state, err := d.Take(ctx, func(got []byte) bool { return whole(got, q.method) }, q.read)
		switch state {
		case sidecar.Again:
			p.await(ctx, d, q, reply)
		case sidecar.Rest:
			p.finish(ctx, d, q, reply)
		default:
			p.end(ctx, q, err, reply)
		}
	})
	if err != nil {
		p.finish(ctx, d, q, reply)
	}
}

func (p *peers) finish(ctx context.Context, d *sidecar.Direct, q *question, reply func([]byte)) {
	p.beside(reply, func() []byte {
		text, is := p.outcome(ctx, q, d.Finish(ctx, q.read))
		if !is {
			return p.deliver(ctx, q)
		}
		return text
	})
}

// end replies after a delivery, or has another one made.
func (p *peers) end(ctx context.Context, q *question, err error, reply func([]byte)) {
	if errors.Is(err, sidecar.ErrNotHanded) { // no worker has seen it
		p.beside(reply, func() []byte { return p.deliver(ctx, q) })
		return
	}
	text, is := p.outcome(ctx, q, err)
	if !is {
		p.beside(reply, func() []byte { return p.deliver(ctx, q) })
		return
	}
	reply(text)
}

// beside makes the reply on a goroutine.
func (p *peers) beside(reply func([]byte), f func() []byte) {
	p.Running.Go(func() {
		text := f()
		p.loop.Post(func() { reply(text) })
	})
}

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// whole tells whether got holds all of a view's response. It may say no where it does.
func whole(got []byte, method string) bool {
	end := bytes.Index(got, headEnd)
	if end < 0 {
		return false
	}
	head := got[:end+2]
	body := got[end+len(headEnd):]
	if method == http.MethodHead {
		return true
	}
	_, value, there := bytes.Cut(head, contentLength)
	if !there {
		return false
	}
	digits, _, _ := bytes.Cut(value, headEnd[:2])
	size, err := strconv.Atoi(string(digits))
	return err == nil && size <= len(body)
}
