package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/scmrights"
	"envoxyd/transports/mqtt"
)

// A call is a frame from a worker: gatewayspec.FrameHead, the head as JSON, the payload
// as it is. The answer has the same form.
type call struct {
	Op         string `json:"op"` // register, subscribe, unsubscribe, publish, connected, zmq
	Generation int    `json:"generation"`
	Server     string `json:"server"`
	Topic      string `json:"topic"`
	QoS        byte   `json:"qos"`
	Retain     bool   `json:"retain"`

	Endpoint string  `json:"endpoint"` // of zmq: tcp://host:port
	Most     int     `json:"most"`     // of zmq: how many connections to it there may be
	Seconds  float64 `json:"seconds"`  // of zmq: how long a reply is waited for
	Again    bool    `json:"again"`    // of zmq: the request may be sent twice

	Owner    int    `json:"owner"`    // of subscribe
	Callback string `json:"callback"` // of subscribe
}

type answer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Kind  string `json:"kind,omitempty"` // of an error: full, timeout, lost, unknown, invalid
}

const (
	maxHead    = 1 << 20   // the register call's, with the whole configuration, comes as payload
	maxPayload = 256 << 20 // MQTT's own bound
)

// acceptCalls takes the streams that workers send over the calls socket.
func (g *Gateway) acceptCalls(ctx context.Context, fd int) {
	if err := unix.SetNonblock(fd, true); err != nil {
		g.errorf("%v", err)
		return
	}
	socket := os.NewFile(uintptr(fd), "calls")
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer stop()
	raw, err := socket.SyscallConn()
	if err != nil {
		g.errorf("%v", err)
		return
	}
	for ctx.Err() == nil {
		stream, err := receiveStream(raw)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.EOF) {
				g.errorf("a worker's call was lost: %v", err)
				continue
			}
			return
		}
		g.running.Go(func() { g.serveCalls(ctx, stream) })
	}
}

func receiveStream(raw syscall.RawConn) (net.Conn, error) {
	_, fd, err := receive(raw, make([]byte, 16))
	if err != nil {
		return nil, err
	}
	if fd < 0 {
		return nil, scmrights.ErrNone
	}
	file := os.NewFile(uintptr(fd), "calls")
	defer file.Close()
	return net.FileConn(file)
}

// serveCalls answers one worker's calls, one after the other, until it closes the stream.
func (g *Gateway) serveCalls(ctx context.Context, stream net.Conn) {
	defer stream.Close()
	stop := context.AfterFunc(ctx, func() { stream.Close() })
	defer stop()
	owner := 0
	defer func() { g.forgetOwner(owner) }()
	for {
		head, payload, err := readFrame(stream)
		if err != nil {
			return
		}
		var c call
		var reply answer
		var result []byte
		if err := json.Unmarshal(head, &c); err != nil {
			reply = refuse("invalid", err)
		} else {
			if c.Op == "subscribe" && c.Owner != 0 {
				owner = c.Owner
			}
			reply, result = g.call(ctx, &c, payload)
		}
		if err := writeFrame(stream, &reply, result); err != nil {
			return
		}
	}
}

func readFrame(r io.Reader) (head, payload []byte, err error) {
	var start [gatewayspec.FrameHeadSize]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, nil, err
	}
	sizes := gatewayspec.ParseFrameHead(&start)
	if sizes.HeadSize > maxHead || sizes.PayloadSize > maxPayload {
		return nil, nil, fmt.Errorf("gateway: a call of %d and %d bytes", sizes.HeadSize, sizes.PayloadSize)
	}
	text := make([]byte, int(sizes.HeadSize)+int(sizes.PayloadSize))
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, nil, err
	}
	return text[:sizes.HeadSize], text[sizes.HeadSize:], nil
}

func writeFrame(w io.Writer, reply *answer, payload []byte) error {
	head, err := json.Marshal(reply)
	if err != nil {
		return err
	}
	text := make([]byte, 0, gatewayspec.FrameHeadSize+len(head)+len(payload))
	text = gatewayspec.FrameHead{HeadSize: uint32(len(head)), PayloadSize: uint32(len(payload))}.Append(text)
	_, err = w.Write(append(append(text, head...), payload...))
	return err
}

func refuse(kind string, err error) answer { return answer{Kind: kind, Error: err.Error()} }

// call carries one call out. The payload is its own from then on.
func (g *Gateway) call(ctx context.Context, c *call, payload []byte) (answer, []byte) {
	var err error
	switch c.Op {
	case "register":
		err = g.register(payload)
	case "subscribe":
		err = g.subscribe(c.Generation, Subscription{Server: c.Server, Filter: c.Topic, QoS: c.QoS, Owner: c.Owner, Name: c.Callback})
	case "unsubscribe":
		g.unsubscribe(c.Generation, c.Server, c.Topic)
	case "publish":
		err = g.publish(c.Generation, c.Server, c.Topic, payload, c.QoS, c.Retain)
	case "connected":
		return answer{OK: g.connected(c.Server)}, nil
	case "zmq":
		wait, cancel := context.WithTimeout(ctx, time.Duration(c.Seconds*float64(time.Second)))
		defer cancel()
		var reply []byte
		if reply, err = g.ask(wait, c.Endpoint, c.Most, payload, c.Again); err == nil {
			return answer{OK: true}, reply
		}
	default:
		err = fmt.Errorf("%w: no such call: %q", errInvalid, c.Op)
	}
	if err != nil {
		return refuse(kindOf(err), err), nil
	}
	return answer{OK: true}, nil
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
	case isTimeout(err):
		return "timeout"
	}
	return "lost"
}
