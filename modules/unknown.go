package modules

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"envoxyd/internal/spelling"
)

// errMisspelt is what a key probably is that nobody reads and that nearly has the name of one that is read.
var errMisspelt = errors.New("this key is not read")

// knownKeys are the keys that an object at each place of the document may have, from the rules. "*" in a place is every member or item.
func knownKeys() map[string][]string {
	known := map[string][]string{}
	for _, r := range slices.Concat(rules, zmqRules) {
		place, key := "", r.path
		if at := strings.LastIndexByte(r.path, '.'); at >= 0 {
			place, key = r.path[:at], r.path[at+1:]
		}
		if !slices.Contains(known[place], key) {
			known[place] = append(known[place], key)
		}
	}
	return known
}

// noteMisspelt notes the keys that are none and nearly are. Others are the service's own.
func (n *normaliser) noteMisspelt() { n.noteMisspeltBelow(n.document, "", "", knownKeys()) }

func (n *normaliser) noteMisspeltBelow(at *node, place, key string, known map[string][]string) {
	keys := known[place]
	if len(keys) == 0 {
		return
	}
	below := func(path, step string) string { return strings.TrimPrefix(path+"."+step, ".") }
	free := slices.Contains(keys, "*")
	for i, item := range at.items {
		if free {
			n.noteMisspeltBelow(item, below(place, "*"), below(key, strconv.Itoa(i)), known)
		}
	}
	for _, m := range at.members {
		switch {
		case slices.Contains(keys, m.key):
			n.noteMisspeltBelow(m.value, below(place, m.key), below(key, m.key), known)
		case free:
			n.noteMisspeltBelow(m.value, below(place, "*"), below(key, m.key), known)
		default:
			if near := nearestKey(m.key, keys); near != "" {
				n.notices = append(n.notices, n.fault(m.value, below(key, m.key), fmt.Errorf("%w; did you mean %q?", errMisspelt, near)).Error())
			}
		}
	}
}

// noteViewless notes a configuration that nothing is loaded from.
func (n *normaliser) noteViewless() {
	if backend, err := strconv.ParseBool(textOf(n.document.at("default_zmq_backend", "enabled"))); err == nil && backend {
		return // all requests are passed on
	}
	if n.document.get("modules").isEmpty() && n.document.get("packages").isEmpty() {
		n.notices = append(n.notices, n.file+": no view will be loaded: neither modules nor packages names anything")
	}
}

func textOf(n *node) string {
	if n == nil {
		return ""
	}
	return n.text
}

// nearestKey is the key that is one slip away from a name, or two for long ones; "": none is.
func nearestKey(name string, keys []string) (nearest string) {
	const shortest, long = 4, 8 // shorter names are near to everything
	if len(name) < shortest {
		return ""
	}
	limit := 2
	if len(name) >= long {
		limit = 3
	}
	plain := strings.NewReplacer("-", "", "_", "", "$", "").Replace
	for _, key := range keys {
		if len(key) < shortest {
			continue
		}
		if d := spelling.Distance(plain(strings.ToLower(name)), plain(key), limit); d < limit {
			nearest, limit = key, d
		}
	}
	return nearest
}
