package modules

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// rule says what one place of the document may hold. "*" in a path is every member or item.
type rule struct {
	path  string
	kinds []kind
	also  func(*node) error
}

var (
	texts    = []kind{text}
	booleans = []kind{boolean}
	numbers  = []kind{number, text}
	objects  = []kind{object}
	lists    = []kind{list}
	anything = []kind(nil)
)

// rules name the keys that are read, and of those whose wrong type would surface as something unreadable later what they
// may be. Keys that are not here are the service's own.
var rules = []rule{
	{"modules", lists, nil},
	{"modules.*", texts, nil},
	{"packages", lists, nil},
	{"packages.*", texts, nil},
	{"plugins", objects, nil},
	{"plugins.auth", texts, nil},
	{"credentials", objects, nil},
	{"credentials.server", texts, nil},
	{"credentials.client_id", anything, nil},
	{"credentials.client_secret", anything, nil},
	{"credentials.response_type", anything, nil},
	{"credentials.scope", anything, nil},
	{"boot", lists, nil},
	{"boot.*", objects, nil},
	{"boot.*.name", texts, nil},
	{"boot.*.keep_alive", numbers, wholeNumber},
	{"boot.*.http", objects, nil},
	{"boot.*.http.bind", texts, nil},
	{"keep_alive", numbers, wholeNumber},
	{"log", objects, nil},
	{"log.level", anything, nil},
	{"log.format", texts, nil},
	{"$log", anything, nil},
	{"logging", anything, nil},
	{"postgres", anything, nil},
	{"couchdb", anything, nil},
	{"mqtt", anything, nil},
	{"health", objects, nil},
	{"health.interval", numbers, nil},
	{"health.timeout", numbers, nil},
	{"default_zmq_backend", objects, nil},
	{"default_zmq_backend.enabled", anything, nil},
	{"default_zmq_backend.path_prefix", texts, nil},
	{"default_zmq_backend.server_key", anything, nil},
	{"mqtt_servers", objects, nil},
	{"mqtt_servers.*", objects, nil},
	{"mqtt_servers.*.bind", texts, brokerURL},
	{"mqtt_servers.*.user", texts, nil},
	{"mqtt_servers.*.passwd", texts, nil},
	{"mqtt_servers.*.cert_path", texts, nil},
	{"mqtt_servers.*.client_cert_path", texts, nil},
	{"mqtt_servers.*.client_key_path", texts, nil},
	{"mqtt_servers.*.client_id", texts, nil},
	{"mqtt_servers.*.clean_session", booleans, nil},
	{"mqtt_servers.*.embedded", booleans, nil},
	{"mqtt_servers.*.shared", booleans, nil},
	{"mqtt_servers.*.keepalive", numbers, wholeNumber},
	{"mqtt_servers.*.max_queued", numbers, wholeNumber},
	{"mqtt_servers.*.will", objects, nil},
	{"mqtt_servers.*.will.topic", texts, nil},
	{"mqtt_servers.*.will.qos", numbers, wholeNumber},
	{"mqtt_servers.*.will.retain", booleans, nil},
	{"timers", objects, nil},
	{"timers.once", texts, electionPlace},
	{"psql_servers", objects, nil},
	{"psql_servers.*", []kind{object, text}, nil}, // "default" names a server
	{"psql_servers.*.host", texts, nil},
	{"psql_servers.*.port", numbers, wholeNumber},
	{"psql_servers.*.dsn", texts, nil},
	{"psql_servers.*.url", texts, nil},
	{"psql_servers.*.db", anything, nil},
	{"psql_servers.*.user", anything, nil},
	{"psql_servers.*.passwd", anything, nil},
	{"psql_servers.*.max_conn", anything, nil},
	{"psql_servers.*.timeout", anything, nil},
	{"psql_servers.*.conn_timeout", anything, nil},
	{"psql_servers.*.schema", anything, nil},
	{"psql_servers.*.statement_timeout", anything, nil},
	{"psql_servers.*.default_query_exec_mode", anything, nil},
	{"psql_servers.*.health_check_on_release", anything, nil},
	{"psql_servers.*.pool_size", anything, nil},
	{"psql_servers.*.max_overflow", anything, nil},
	{"psql_servers.*.pool_timeout", anything, nil},
	{"redis_servers", objects, nil},
	{"redis_servers.*", objects, nil},
	{"redis_servers.*.bind", texts, nil},
	{"redis_servers.*.host", anything, nil},
	{"redis_servers.*.port", anything, nil},
	{"redis_servers.*.db", anything, nil},
	{"redis_servers.*.ttl", anything, nil},
	{"redis_servers.*.user", anything, nil},
	{"redis_servers.*.passwd", anything, nil},
	{"redis_servers.*.timeout", anything, nil},
	{"redis_servers.*.ssl", anything, nil},
	{"redis_servers.*.cert_path", anything, nil},
	{"couchdb_servers", objects, nil},
	{"couchdb_servers.*", objects, nil},
	{"couchdb_servers.*.bind", texts, nil},
	{"couchdb_servers.*.user", anything, nil},
	{"couchdb_servers.*.passwd", anything, nil},
	{"couchdb_servers.*.timeout", anything, nil},
	{"couchdb_servers.*.db", anything, nil},
	{"couchdb_servers.*.fields", anything, nil},
	{"cache", objects, nil},
	{"cache.backend", texts, nil},
	{"cache.bind", anything, nil},
	{"cache.host", anything, nil},
	{"cache.port", anything, nil},
	{"cache.db", anything, nil},
	{"cache.ttl", anything, nil},
	{"cache.key_prefix", anything, nil},
	{"amqp_servers", objects, nil},
	{"amqp_servers.*", objects, nil},
	{"amqp_servers.*.bind", texts, nil},
	{"amqp_servers.*.host", anything, nil},
	{"amqp_servers.*.port", anything, nil},
	{"amqp_servers.*.user", anything, nil},
	{"amqp_servers.*.passwd", anything, nil},
	{"amqp_servers.*.vhost", anything, nil},
	{"amqp_servers.*.cert_path", anything, nil},
	{"mongodb_servers", anything, nil},
	{"task_modules", anything, nil},
	{"default_task_queue", anything, nil},
	{"enable_cors", anything, nil},
	{"debug", anything, nil},
}

// check reports the first key, in the order of the rules, that cannot be used.
func (n *normaliser) check() error {
	for _, r := range slices.Concat(rules, zmqRules) {
		if err := n.checkRule(r, n.document, strings.Split(r.path, "."), nil); err != nil {
			return err
		}
	}
	packages := n.document.get("packages")
	if !n.document.get("modules").isEmpty() && !packages.isEmpty() {
		return n.fault(packages, "packages", ErrModulesAndPackages)
	}
	return nil
}

func (n *normaliser) checkRule(r rule, at *node, steps, taken []string) error {
	if at == nil || at.kind == null { // null is as good as absent
		return nil
	}
	if len(steps) == 0 {
		return n.checkValue(r, at, strings.Join(taken, "."))
	}
	if steps[0] != "*" {
		return n.checkRule(r, at.at(steps[0]), steps[1:], append(taken, steps[0]))
	}
	for _, m := range at.members {
		if err := n.checkRule(r, m.value, steps[1:], append(slices.Clip(taken), m.key)); err != nil {
			return err
		}
	}
	for i, item := range at.items {
		if err := n.checkRule(r, item, steps[1:], append(slices.Clip(taken), fmt.Sprint(i))); err != nil {
			return err
		}
	}
	return nil
}

func (n *normaliser) checkValue(r rule, at *node, key string) error {
	if r.kinds != nil && !slices.Contains(r.kinds, at.kind) {
		return n.wrongType(at, key, r.kinds[0].String())
	}
	if r.also != nil {
		if err := r.also(at); err != nil {
			return n.fault(at, key, err)
		}
	}
	return nil
}

func wholeNumber(n *node) error {
	if _, ok := whole(n); !ok && n.text != "" {
		return fmt.Errorf("%w: a whole number is wanted", ErrValue)
	}
	return nil
}

// brokerURL wants mqtt://host:port or mqtts://host:port, login optional.
func electionPlace(n *node) error {
	section, name, _ := strings.Cut(n.text, ".")
	if section != "psql_servers" && section != "redis_servers" || name == "" {
		return fmt.Errorf("%w: psql_servers.NAME or redis_servers.NAME is wanted", ErrValue)
	}
	return nil
}

func brokerURL(n *node) error {
	parsed, err := url.Parse(n.text)
	if err != nil || parsed.Scheme != "mqtt" && parsed.Scheme != "mqtts" || parsed.Hostname() == "" || parsed.Port() == "" {
		return fmt.Errorf("%w: mqtt://host:port or mqtts://host:port is wanted", ErrValue)
	}
	return nil
}
