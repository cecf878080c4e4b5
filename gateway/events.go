package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/gateway/sidecar"
	"envoxyd/internal/gatewayspec"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/mqtt"
)

// A message that has been with so many workers when they ended is not
// given to another.
const maxAttempts = 5

// received takes a message from a broker, on the broker's goroutine.
func (g *Gateway) received(from origin, m *mqtt.Message) {
	g.counting.count(gatewayspec.CountReceived, nil)
	g.keepAwake.touch()
	receivers := g.receivers(from, m.Topic)
	if len(receivers) == 0 { // unsubscribed in the meantime
		m.Done()
		return
	}
	pending := new(atomic.Int32)
	pending.Store(int32(len(receivers)))
	for _, to := range receivers {
		to.tallies.count(gatewayspec.CountReceived)
		if g.queue.add(&item{origin: from, message: m, owner: to.owner, pending: pending, tallies: to.tallies}) {
			continue
		}
		if m.QoS > 0 { // the gateway stops: the broker keeps what is not acknowledged
			return
		}
		g.lost(to.tallies, "[MQTT] %s: %q: dropped a message of QoS 0: the handlers are too slow (%d wait)", from.server, m.Topic, queueLimit)
	}
}

// lost logs that messages were dropped, at most once a second; the rest is counted.
func (g *Gateway) lost(of tallies, format string, args ...any) {
	g.counting.count(gatewayspec.CountDropped, of)
	now := time.Now().Unix()
	if g.lastDropLog.Swap(now) != now {
		g.errorf(format+"; %d so far", append(args, g.counting.totals()[gatewayspec.CountDropped])...)
	}
}

// work hands messages to workers until the queue is closed. The slot of Progress is its own.
func (g *Gateway) work(ctx context.Context, slot int) {
	for {
		t := g.Workers.Await(ctx)
		if t == nil {
			return
		}
		d := g.queue.take(t.Limit())
		if d == nil {
			return
		}
		began := time.Now()
		left, pause := g.handOver(ctx, d, slot)
		g.queue.release(d, left, time.Since(began), pause)
	}
}

// handOver has a worker handle a delivery. What it did not get to is returned, with the
// time to wait before it is tried again.
func (g *Gateway) handOver(ctx context.Context, d *delivery, slot int) (left []*item, pause time.Duration) {
	t := g.Workers.Await(ctx)
	if t == nil {
		return d.items, 0 // the gateway ends
	}
	if d.owner != 0 && errors.Is(unix.Kill(d.owner, 0), unix.ESRCH) {
		g.orphaned(d.items)
		g.running.Go(func() { g.forgetOwner(d.owner) })
		return nil, 0
	}
	body := encode(d.items)
	g.progress.Reset(slot)
	done, elsewhere, later := 0, false, false
	err := t.Deliver(ctx, gatewayspec.EndsWithMarks, g.eventVars(d, len(body), slot), body, func(r *bufio.Reader) error {
		if err := sidecar.SkipHead(r); err != nil {
			return err
		}
		for done < len(d.items) {
			mark, err := r.ReadByte()
			if err != nil {
				return sidecar.ErrWorkerLost
			}
			switch mark {
			case gatewayspec.Elsewhere:
				elsewhere = true
				return nil
			case gatewayspec.Later:
				later = true
				return nil
			case gatewayspec.Link: // it has answered for fewer messages than there are
				return sidecar.ErrWorkerLost
			}
			g.ack(d.items[done], mark == gatewayspec.Failed)
			done++
		}
		return nil
	})
	if !elsewhere && !later && ctx.Err() == nil {
		for until := min(g.progress.Done(slot), len(d.items)); done < until; done++ { // what a worker that was killed had done
			g.ack(d.items[done], false)
		}
	}
	left = d.items[done:]
	switch {
	case len(left) == 0:
		return nil, 0
	case elsewhere:
		return left, time.Millisecond // the worker that said so takes nothing for a short time
	case errors.Is(err, sidecar.ErrNotHanded) && !errors.Is(err, sidecar.ErrUnread): // a worker that had it, and did not read it, may have a reason
		return left, 50 * time.Millisecond
	case later || ctx.Err() != nil:
		return left, 0
	}
	return g.retry(left)
}

// retry decides about a message whose worker ended, and all behind it.
func (g *Gateway) retry(left []*item) ([]*item, time.Duration) {
	first := left[0]
	first.attempts++
	g.counting.count(gatewayspec.CountRedelivered, first.tallies)
	if first.attempts >= maxAttempts {
		g.lost(first.tallies, "[MQTT] %s: %q: dropped a message: %d workers have ended while they handled it", first.server, first.message.Topic, first.attempts)
		g.ack(first, true)
		return left[1:], 0
	}
	return left, time.Duration(first.attempts-1) * 100 * time.Millisecond
}

// ack acknowledges a message that has been handled, well or not.
func (g *Gateway) ack(i *item, failed bool) {
	counter := gatewayspec.CountHandled
	if failed {
		counter = gatewayspec.CountFailed
	}
	g.counting.count(counter, i.tallies)
	if i.pending.Add(-1) == 0 {
		i.message.Done()
	}
}

// longestLogged bounds the topic in the variables: they are for the log and the scoreboard.
const longestLogged = 512

func (g *Gateway) eventVars(d *delivery, size, slot int) []byte {
	topic := d.items[0].message.Topic
	topic = topic[:min(len(topic), longestLogged)]
	vars := sidecar.AppendVars(make([]byte, 0, 512+2*len(topic)), [][2]string{
		{"REQUEST_METHOD", "EVENT"}, {"REQUEST_URI", topic}, {"PATH_INFO", topic}, {"SERVER_PROTOCOL", "MQTT/3.1.1"},
		{"REMOTE_ADDR", d.server}, {"CONTENT_LENGTH", strconv.Itoa(size)},
		{gatewayspec.VarKind, "mqtt"}, {gatewayspec.VarServer, d.server}, {gatewayspec.VarSlot, strconv.Itoa(slot)},
	}...)
	if d.shared {
		vars = uwsgi.AppendVar(vars, gatewayspec.VarShared, "1")
	}
	if d.owner != 0 {
		return uwsgi.AppendVar(vars, gatewayspec.VarOwner, strconv.Itoa(d.owner))
	}
	if names := g.names(d); names != nil {
		text, err := json.Marshal(names)
		for ; err == nil && len(text) > sidecar.MaxVars*3/4; text, err = json.Marshal(names) {
			g.errorf("[MQTT] %s: %q: the handler %s is left out: too many were added while the service runs", d.server, topic, names[len(names)-1][1])
			names = names[:len(names)-1]
		}
		vars = uwsgi.AppendVar(vars, gatewayspec.VarNames, text)
	}
	return vars
}

// encode writes messages as the worker's Python reads them.
func encode(batch []*item) []byte {
	size := 0
	for _, i := range batch {
		size += gatewayspec.MessageHeadSize + len(i.message.Topic) + len(i.message.Payload)
	}
	text := make([]byte, 0, size)
	for _, i := range batch {
		m := i.message
		head := gatewayspec.MessageHead{PayloadSize: uint32(len(m.Payload)), TopicSize: uint16(len(m.Topic)), ID: m.ID, QoS: m.QoS}
		if m.Retain {
			head.Flags |= gatewayspec.Retained
		}
		if m.Duplicate || i.attempts > 0 {
			head.Flags |= gatewayspec.Repeated
		}
		text = head.Append(text)
		text = append(append(text, m.Topic...), m.Payload...)
	}
	return text
}
