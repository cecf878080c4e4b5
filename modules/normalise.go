package modules

import (
	"fmt"
	"strconv"
	"strings"
)

// normaliser turns the documented spelling into upstream's keys, inside one document.
type normaliser struct {
	file     string
	data     []byte
	document *node
	notices  []string
}

// documented lists sections of the documented spelling: what postgres.<name>.dsn says
// goes to psql_servers.<name>.dsn, and so on. The documented section stays where it is.
var documented = []struct{ section, key, upstream, upstreamKey string }{
	{"postgres", "dsn", "psql_servers", "dsn"},
	{"couchdb", "url", "couchdb_servers", "bind"},
	{"mqtt", "bind", "mqtt_servers", "bind"},
}

func (n *normaliser) normalise() error {
	if n.document.kind != object {
		return n.fault(n.document, "", fmt.Errorf("%w: %v where an object is wanted", ErrType, n.document.kind))
	}
	if err := n.mergeLog(); err != nil {
		return err
	}
	for _, d := range documented {
		if err := n.mergeServers(d.section, d.key, d.upstream, d.upstreamKey); err != nil {
			return err
		}
	}
	return n.expandDSNs()
}

// mergeLog makes one "log" of its three spellings; "log" wins over "$log" over "logging".
func (n *normaliser) mergeLog() error {
	merged := newObject()
	for _, name := range []string{"log", "$log", "logging"} {
		section := n.document.get(name)
		if section == nil || section.kind == null {
			continue
		}
		if section.kind != object && name == "logging" {
			continue // a service's own section, then
		}
		if section.kind != object {
			return n.wrongType(section, name, "an object")
		}
		for _, m := range section.members {
			if name != "logging" || m.key == "level" || m.key == "format" {
				merged.setDefault(m.key, m.value)
			}
		}
	}
	n.document.set("log", merged)
	return nil
}

// mergeServers copies the entries of a documented section that have its key. Others are
// left alone: the name may be a service's own section.
func (n *normaliser) mergeServers(section, key, upstream, upstreamKey string) error {
	documented := n.document.get(section)
	if documented == nil || documented.kind != object {
		return nil
	}
	for _, entry := range documented.members {
		address := entry.value.get(key)
		if address == nil {
			continue
		}
		path := section + "." + entry.key + "." + key
		if address.kind != text {
			return n.wrongType(address, path, "text")
		}
		server, err := n.server(upstream, entry.key)
		if err != nil {
			return err
		}
		for _, m := range entry.value.members {
			if m.key == key {
				server.setDefault(upstreamKey, m.value)
			} else {
				server.setDefault(m.key, m.value)
			}
		}
	}
	return nil
}

// server finds or makes the object of one server of a section.
func (n *normaliser) server(section, name string) (*node, error) {
	servers := n.document.get(section)
	if servers == nil || servers.kind == null {
		servers = newObject()
		n.document.set(section, servers)
	}
	if servers.kind != object {
		return nil, n.wrongType(servers, section, "an object")
	}
	server := servers.get(name)
	if server == nil {
		server = newObject()
		servers.set(name, server)
	}
	if server.kind != object {
		return nil, n.wrongType(server, section+"."+name, "an object")
	}
	return server, nil
}

// expandDSNs gives each PostgreSQL server that has a dsn or url the single fields too:
// the connection pool reads those, the ORM reads the URL.
func (n *normaliser) expandDSNs() error {
	servers := n.document.get("psql_servers")
	if servers == nil || servers.kind != object {
		return nil
	}
	for _, m := range servers.members {
		for _, key := range []string{"dsn", "url"} {
			if err := n.expandDSN(m.value, "psql_servers."+m.key+"."+key, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *normaliser) expandDSN(server *node, path, key string) error {
	address := server.get(key)
	if address == nil || address.kind != text {
		return nil
	}
	dsn, err := parseDSN(address.text)
	if err != nil {
		return n.fault(address, path, err)
	}
	address.text = dsn.asURL(address.text)
	for _, field := range dsn.fields() {
		if address.origin != "" { // set by variable or command line: overrides the file's fields
			server.set(field.key, newText(field.value))
			continue
		}
		server.setDefault(field.key, newText(field.value))
	}
	return nil
}

// levels are the names that log.level may have beside 0 … 9.
var levels = map[string]int{
	"EMERGENCY": 0, "ALERT": 1, "CRITICAL": 2, "ERROR": 3, "WARNING": 4, "WARN": 4,
	"NOTICE": 5, "INFO": 6, "DEBUG": 7, "TRACE": 8, "VERBOSE": 9,
}

const defaultLevel = 6 // INFO

// level reads a log level by number or name; false for anything else.
func level(n *node) (int, bool) {
	if value, ok := whole(n); ok {
		return min(max(value, 0), 9), true
	}
	if n == nil || n.kind != text {
		return 0, false
	}
	value, ok := levels[strings.ToUpper(strings.TrimSpace(n.text))]
	return value, ok
}

// normaliseLogLevel writes log.level as a number. A level that means nothing is reported, not
// refused: upstream boots with it.
func (n *normaliser) normaliseLogLevel() {
	log := n.document.get("log")
	if log.kind == null {
		log = newObject()
		n.document.set("log", log)
	}
	given := log.get("level")
	value, ok := level(given)
	if !ok {
		value = defaultLevel
		if given != nil && given.kind != null && (given.kind != text || given.text != "") {
			n.notices = append(n.notices, n.fault(given, "log.level",
				fmt.Errorf("%w: use 0 to 9 or a name such as INFO; going on with %d", ErrValue, value)).Error())
		}
	}
	offset := -1
	if given != nil {
		offset = given.offset
	}
	log.set("level", &node{kind: number, text: strconv.Itoa(value), offset: offset})
}

func (n *normaliser) wrongType(at *node, key, wanted string) error {
	return n.fault(at, key, fmt.Errorf("%w: %v where %s is wanted", ErrType, at.kind, wanted))
}

func (n *normaliser) fault(at *node, key string, err error) *Error {
	e := &Error{File: n.file, Key: key, Origin: at.origin, Err: err}
	e.Line, e.Column = position(n.data, at.offset)
	return e
}
