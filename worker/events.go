package worker

import (
	"envoxyd/internal/gatewayspec"
	"envoxyd/transports"
	"envoxyd/transports/uwsgi"
)

// eventVars is how large the variables of an event may be: headers of a ZeroMQ
// request are among them, and --buffer-size is about other clients.
const eventVars = 16 << 10

// eventTransport is how the gateway's deliveries come: uwsgi packets with bodies, one after the
// other where the end of a response can be told.
var eventTransport = transports.Transport{New: func() transports.Receiver { return eventReceiver{} }}

type eventReceiver struct{ uwsgi.Receiver }

func (r eventReceiver) Receive(c *transports.Conn, data, room []byte) transports.Request {
	q := r.Receiver.Receive(c, data, room)
	q.Keep = q.Modifier2 != gatewayspec.EndsWithStream
	return q
}

// newEventListener is what the gateway's deliveries are taken for.
func newEventListener(w *Worker, kind int) *listener {
	timeout := w.socketTimeout()
	return &listener{
		fd: -1, index: gatewayspec.EventListener, name: "events", transport: &eventTransport, kind: kind, event: true,
		socket: transports.Socket{Limit: max(w.spec.Limits.BufferSize, eventVars)},
		idle:   timeout, timeout: timeout, send: timeout, head: headTime,
	}
}
