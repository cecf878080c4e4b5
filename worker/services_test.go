package worker

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// echo is a service that answers with what it was given.
type echo struct{ closed bool }

func (e *echo) Call(_ context.Context, operation int, payload []byte, deliver func([]byte)) error {
	switch operation {
	case 1:
		deliver(payload)
		return nil
	case 2:
		return errors.New("as asked")
	}
	panic("no such operation")
}

func (e *echo) Close() { e.closed = true }

func TestCallsOfServices(t *testing.T) {
	one := &echo{}
	services["echo"] = one
	defer delete(services, "echo")
	for _, c := range []struct {
		name      string
		operation int
		reply     string
		problem   string
	}{
		{"echo", 1, "payload", ""},
		{"echo", 2, "", "as asked"},
		{"echo", 3, "", "internal error in echo: no such operation"},
		{"nobody", 1, "", `no service "nobody"`},
	} {
		var reply string
		err := callService(t.Context(), c.name, c.operation, []byte("payload"), func(data []byte) { reply = string(data) })
		if reply != c.reply || (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s %d: %q, %v", c.name, c.operation, reply, err)
		}
	}
	closeServices()
	if !one.closed {
		t.Error("a service was not closed")
	}
}
