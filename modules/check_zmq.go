package modules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"envoxyd/protocol/m2m"
)

// zmqRules are those of ZeroMQ. What protects a socket is checked closely: a key that was mistyped
// would leave it open.
var zmqRules = []rule{
	{"zmq_servers", objects, nil},
	{"zmq_servers.*", objects, clientSecurity},
	{"zmq_servers.*.bind", texts, endpoint},
	{"zmq_servers.*.host", texts, nil},
	{"zmq_servers.*.port", numbers, wholeNumber},
	{"zmq_servers.*.timeout", numbers, seconds},
	{"zmq_servers.*.cached_routes", anything, nil},
	{"zmq_workers", anything, nil},
	{"zmq_workers.context_max_workers", anything, nil},
	{"zmq_workers.thread_poll_executor_max_workers", anything, nil},
	{"zmq_servers.*.heartbeat", numbers, seconds},
	{"zmq_servers.*.heartbeat_timeout", numbers, seconds},
	{"zmq_servers.*.reconnect", numbers, seconds},
	{"zmq_servers.*.reconnect_max", numbers, seconds},
	{"zmq_servers.*.curve", objects, members("server_key", "secret_key", "secret_key_path")},
	{"zmq_servers.*.curve", objects, required("server_key")},
	{"zmq_servers.*.curve.server_key", texts, curveKey},
	{"zmq_servers.*.curve.secret_key", texts, curveKey},
	{"zmq_servers.*.curve.secret_key_path", texts, nil},
	{"zmq_servers.*.plain", objects, members("user", "passwd")},
	{"zmq_servers.*.plain", objects, required("user", "passwd")},
	{"zmq_servers.*.plain.user", texts, notEmpty},
	{"zmq_servers.*.plain.passwd", []kind{text, number}, notEmpty},

	{"boot.*.zmq", objects, members("bind", "curve", "plain", "hwm", "heartbeat", "heartbeat_timeout")},
	{"boot.*.zmq", objects, oneSecurity},
	{"boot.*.zmq.bind", []kind{text, list}, endpoint},
	{"boot.*.zmq.bind.*", texts, endpoint},
	{"boot.*.zmq.hwm", numbers, wholeNumber},
	{"boot.*.zmq.heartbeat", numbers, seconds},
	{"boot.*.zmq.heartbeat_timeout", numbers, seconds},
	{"boot.*.zmq.curve", objects, members("secret_key", "secret_key_path", "clients")},
	{"boot.*.zmq.curve", objects, requiredOne("secret_key", "secret_key_path")},
	{"boot.*.zmq.curve.secret_key", texts, curveKey},
	{"boot.*.zmq.curve.secret_key_path", texts, nil},
	{"boot.*.zmq.curve.clients", lists, nil},
	{"boot.*.zmq.curve.clients.*", texts, curveKey},
	{"boot.*.zmq.plain", objects, members("users")},
	{"boot.*.zmq.plain", objects, required("users")},
	{"boot.*.zmq.plain.users", objects, nil},
	{"boot.*.zmq.plain.users.*", []kind{text, number}, notEmpty},
}

// endpoint wants an address that ZeroMQ has; of a list the items are looked at.
func endpoint(n *node) error {
	if n.kind != text {
		return nil
	}
	if _, err := m2m.ParseEndpoint(n.text); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	return nil
}

func curveKey(n *node) error {
	if err := m2m.CheckKey(n.text); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	return nil
}

func seconds(n *node) error {
	if value, err := strconv.ParseFloat(strings.TrimSpace(n.text), 64); n.text != "" && (err != nil || !(value >= 0 && value < 1e6)) {
		return fmt.Errorf("%w: a number of seconds is wanted", ErrValue)
	}
	return nil
}

func notEmpty(n *node) error {
	if n.text == "" {
		return fmt.Errorf("%w: it is empty", ErrValue)
	}
	return nil
}

// members lets an object have no others.
func members(known ...string) func(*node) error {
	return func(n *node) error {
		for _, m := range n.members {
			if !slices.Contains(known, m.key) {
				return fmt.Errorf("%w: it has no %q; there are %s", ErrValue, m.key, strings.Join(known, ", "))
			}
		}
		return nil
	}
}

func required(names ...string) func(*node) error {
	return func(n *node) error {
		for _, name := range names {
			if value := n.get(name); value == nil || value.kind == null {
				return fmt.Errorf("%w: %s is missing", ErrValue, name)
			}
		}
		return nil
	}
}

func requiredOne(names ...string) func(*node) error {
	return func(n *node) error {
		given := 0
		for _, name := range names {
			if value := n.get(name); value != nil && value.kind != null {
				given++
			}
		}
		if given != 1 {
			return fmt.Errorf("%w: one of %s is wanted", ErrValue, strings.Join(names, ", "))
		}
		return nil
	}
}

func oneSecurity(n *node) error {
	curve, plain := n.get("curve"), n.get("plain")
	if curve != nil && curve.kind != null && plain != nil && plain.kind != null {
		return fmt.Errorf("%w: curve and plain exclude each other", ErrValue)
	}
	return nil
}

func clientSecurity(n *node) error {
	if err := oneSecurity(n); err != nil {
		return err
	}
	curve := n.get("curve")
	if curve == nil || curve.kind != object {
		return nil
	}
	key, path := curve.get("secret_key"), curve.get("secret_key_path")
	if key != nil && key.kind != null && path != nil && path.kind != null {
		return fmt.Errorf("%w: curve has secret_key or secret_key_path, not both", ErrValue)
	}
	return nil
}

// zeroMQ is the first place that needs libzmq; nil: none does.
func (n *normaliser) zeroMQ() *Error {
	if servers := n.document.get("zmq_servers"); servers != nil && servers.kind == object {
		for _, m := range servers.members {
			if m.value.kind == object {
				return n.fault(m.value, "zmq_servers."+m.key, nil)
			}
		}
	}
	boot := n.document.get("boot")
	if boot == nil {
		return nil
	}
	for i, item := range boot.items {
		if bind := item.at("zmq", "bind"); bind != nil && !bind.isEmpty() {
			return n.fault(bind, fmt.Sprintf("boot.%d.zmq.bind", i), nil)
		}
	}
	return nil
}
