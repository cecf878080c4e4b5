package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"envoxyd/gateway/sidecar"
	"envoxyd/internal/gatewayspec"
	"envoxyd/transports/mqtt"
)

// A call is a frame from a worker: gatewayspec.FrameHead, the head as JSON, the payload
// as it is. The answer has the same form.
type call struct {
	Op         string `json:"op"` // register, subscribe, unsubscribe, publish, connected
	Generation int    `json:"generation"`
	Server     string `json:"server"`
	Topic      string `json:"topic"`
	QoS        byte   `json:"qos"`
	Retain     bool   `json:"retain"`

	Owner    int    `json:"owner"` // of subscribe, as are those below
	Callback string `json:"callback"`
	Shared   bool   `json:"shared"`
}

// serveCalls answers one worker's calls, one after the other, until it closes the stream.
func (g *Gateway) serveCalls(stream net.Conn) {
	owner := 0
	defer func() { g.forgetOwner(owner) }()
	for {
		head, payload, err := sidecar.ReadFrame(stream)
		if err != nil {
			return
		}
		var c call
		var reply sidecar.Answer
		if err := json.Unmarshal(head, &c); err != nil {
			reply = sidecar.Refuse("invalid", err)
		} else {
			if c.Op == "subscribe" && c.Owner != 0 {
				owner = c.Owner
			}
			reply = g.call(&c, payload)
		}
		if err := sidecar.WriteFrame(stream, &reply, nil); err != nil {
			return
		}
	}
}

// call carries one call out. The payload is its own from then on.
func (g *Gateway) call(c *call, payload []byte) sidecar.Answer {
	var err error
	switch c.Op {
	case "register":
		err = g.register(payload)
	case "subscribe":
		err = g.subscribe(c.Generation, Subscription{Server: c.Server, Filter: c.Topic, QoS: c.QoS, Owner: c.Owner, Name: c.Callback, Shared: c.Shared})
	case "unsubscribe":
		g.unsubscribe(c.Generation, c.Server, c.Topic)
	case "publish":
		if err = g.publish(c.Generation, c.Server, c.Topic, payload, c.QoS, c.Retain); err == nil {
			g.counting.count(gatewayspec.CountPublished, nil)
		}
	case "connected":
		return sidecar.Answer{OK: g.connected(c.Server)}
	default:
		err = fmt.Errorf("%w: no such call: %q", errInvalid, c.Op)
	}
	if err != nil {
		return sidecar.Refuse(kindOf(err), err)
	}
	return sidecar.Answer{OK: true}
}

var (
	errInvalid = errors.New("gateway")
	errUnknown = errors.New("gateway: the configuration does not name this server")
)

func kindOf(err error) string {
	switch {
	case errors.Is(err, mqtt.ErrQueueFull):
		return "full"
	case errors.Is(err, errUnknown):
		return "unknown"
	case errors.Is(err, errInvalid), errors.Is(err, mqtt.ErrTopic):
		return "invalid"
	}
	return "lost"
}
