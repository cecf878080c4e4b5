package modules

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// override is one value from outside the file.
type override struct {
	path   []string
	value  string
	origin string // the variable's name, or the command line's key
}

// variables are the environment's names. "*" stands for a server's name, compared without
// regard to case, "-" and "." equal to "_"; a new name becomes lower case.
var variables = []struct{ name, path string }{
	{"ENVOXY_LOG_LEVEL", "log.level"},
	{"ENVOXY_LOG_FORMAT", "log.format"},
	{"ENVOXY_DEBUG", "debug"},
	{"ENVOXY_KEEP_ALIVE", "keep_alive"},
	{"ENVOXY_ENABLE_CORS", "enable_cors"},
	{"ENVOXY_BOOT_NAME", "boot.0.name"},
	{"ENVOXY_BOOT_KEEP_ALIVE", "boot.0.keep_alive"},
	{"ENVOXY_BOOT_HTTP_BIND", "boot.0.http.bind"},
	{"ENVOXY_CREDENTIALS_SERVER", "credentials.server"},
	{"ENVOXY_CREDENTIALS_CLIENT_ID", "credentials.client_id"},
	{"ENVOXY_CREDENTIALS_CLIENT_SECRET", "credentials.client_secret"},
	{"ENVOXY_CREDENTIALS_RESPONSE_TYPE", "credentials.response_type"},
	{"ENVOXY_CREDENTIALS_SCOPE", "credentials.scope"},
	{"ENVOXY_PLUGINS_AUTH", "plugins.auth"},
	{"ENVOXY_POSTGRES_*_DSN", "psql_servers.*.dsn"},
	{"ENVOXY_POSTGRES_*_HOST", "psql_servers.*.host"},
	{"ENVOXY_POSTGRES_*_PORT", "psql_servers.*.port"},
	{"ENVOXY_POSTGRES_*_DB", "psql_servers.*.db"},
	{"ENVOXY_POSTGRES_*_USER", "psql_servers.*.user"},
	{"ENVOXY_POSTGRES_*_PASSWD", "psql_servers.*.passwd"},
	{"ENVOXY_COUCHDB_*_URL", "couchdb_servers.*.bind"},
	{"ENVOXY_MQTT_*_BIND", "mqtt_servers.*.bind"},
	{"ENVOXY_MQTT_*_CERT_PATH", "mqtt_servers.*.cert_path"},
	{"ENVOXY_REDIS_*_BIND", "redis_servers.*.bind"},
	{"ENVOXY_ZMQ_*_HOST", "zmq_servers.*.host"},
	{"ENVOXY_ZMQ_*_PORT", "zmq_servers.*.port"},
	{"ENVOXY_ZMQ_*_BIND", "zmq_servers.*.bind"},
	{"ENVOXY_CACHE_BIND", "cache.bind"},
}

// fromEnvironment picks the overrides in environ, in the order of the table above.
// A variable that is set to nothing counts as not set.
func fromEnvironment(environ []string, document *node) []override {
	var found []override
	for _, v := range variables {
		before, after, named := strings.Cut(v.name, "*")
		for _, entry := range environ {
			name, value, _ := strings.Cut(strings.ToValidUTF8(entry, "\ufffd"), "=")
			if value == "" || len(name) < len(before)+len(after) || !strings.HasPrefix(name, before) || !strings.HasSuffix(name, after) {
				continue
			}
			middle := name[len(before) : len(name)-len(after)]
			path := strings.Split(v.path, ".")
			if named && middle != "" {
				path[1] = existingName(document.get(path[0]), middle)
			}
			if named == (middle != "") {
				found = append(found, override{path, value, name})
			}
		}
	}
	return found
}

func existingName(section *node, variable string) string {
	if section != nil {
		for _, m := range section.members {
			if strings.EqualFold(strings.NewReplacer("-", "_", ".", "_").Replace(m.key), variable) {
				return m.key
			}
		}
	}
	return strings.ToLower(variable)
}

// fromCommandLine reads "a.b=value" settings, with or without "conf." before.
func fromCommandLine(settings []string) []override {
	var overrides []override
	for _, setting := range settings {
		key, value, found := strings.Cut(strings.ToValidUTF8(setting, "\ufffd"), "=")
		if !found {
			value = "true" // a bare flag
		}
		key = strings.TrimPrefix(key, "conf.")
		overrides = append(overrides, override{upstreamPath(strings.Split(key, ".")), value, "conf." + key})
	}
	return overrides
}

// upstreamPath translates the documented spelling of a path.
func upstreamPath(path []string) []string {
	if path[0] == "logging" || path[0] == "$log" {
		return append([]string{"log"}, path[1:]...)
	}
	for _, d := range documented {
		if path[0] == d.section && len(path) == 3 && path[2] == d.key {
			return []string{d.upstream, path[1], d.upstreamKey}
		}
	}
	return path
}

// apply writes an override into the document, making the objects on its way.
func (n *normaliser) apply(o override) error {
	at := n.document
	for i, step := range o.path[:len(o.path)-1] {
		next, err := child(at, step)
		if err != nil {
			return n.fault(&node{offset: -1, origin: o.origin}, strings.Join(o.path[:i+1], "."), err)
		}
		if next.kind == null {
			*next = node{kind: object, offset: -1}
			if _, err := strconv.Atoi(o.path[i+1]); err == nil {
				next.kind = list
			}
		}
		at = next
	}
	last := o.path[len(o.path)-1]
	target, err := child(at, last)
	if err != nil {
		return n.fault(&node{offset: -1, origin: o.origin}, strings.Join(o.path, "."), err)
	}
	*target = *overrideValue(o, target)
	setOrigin(target, o.origin)
	if o.path[0] == "psql_servers" && (last == "dsn" || last == "url") {
		return n.expandDSN(at, strings.Join(o.path, "."), last)
	}
	return nil
}

// child finds or makes a member or item; a new one is null. A list grows by one at most.
func child(at *node, step string) (*node, error) {
	if step == "" {
		return nil, fmt.Errorf("%w: a name is missing", ErrValue)
	}
	switch at.kind {
	case object:
		next := at.get(step)
		if next == nil {
			next = &node{offset: -1}
			at.set(step, next)
		}
		return next, nil
	case list:
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i > len(at.items) {
			return nil, fmt.Errorf("%w: a list of %d has no such place", ErrValue, len(at.items))
		}
		if i == len(at.items) {
			at.items = append(at.items, &node{offset: -1})
		}
		return at.items[i], nil
	}
	return nil, fmt.Errorf("%w: %v has no members", ErrType, at.kind)
}

// yesOrNo are keys of servers that are true or false.
var yesOrNo = map[string]bool{"embedded": true, "clean_session": true, "shared": true, "retain": true, "ssl": true}

// overrideValue is JSON where that parses and text may not be meant: what was text stays
// text, and so does everything about servers and credentials (a password may be digits).
func overrideValue(o override, old *node) *node {
	section := o.path[0]
	if yesOrNo[o.path[len(o.path)-1]] && (o.value == "true" || o.value == "false") {
		return &node{kind: boolean, text: o.value, offset: -1}
	}
	if old.kind == text || strings.HasSuffix(section, "_servers") || section == "credentials" || section == "cache" {
		return newText(o.value)
	}
	if json.Valid([]byte(o.value)) {
		if value, err := parse([]byte(o.value)); err == nil {
			return value
		}
	}
	return newText(o.value)
}

func setOrigin(n *node, origin string) {
	n.offset, n.origin = -1, origin
	for _, item := range n.items {
		setOrigin(item, origin)
	}
	for _, m := range n.members {
		setOrigin(m.value, origin)
	}
}
