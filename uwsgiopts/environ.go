package uwsgiopts

import "strings"

// Environ returns base, a list of KEY=VALUE, after the changes of Env in their order.
func (c *Config) Environ(base []string) []string {
	last := map[string]int{}
	var env []string
	put := func(kv string) {
		name, _, set := strings.Cut(kv, "=")
		i, known := last[name]
		switch {
		case !set && known:
			env[i] = ""
			delete(last, name)
		case set && known:
			env[i] = kv
		case set:
			last[name] = len(env)
			env = append(env, kv)
		}
	}
	for _, kv := range base {
		put(kv)
	}
	for _, kv := range c.Env {
		put(kv)
	}
	kept := env[:0]
	for _, kv := range env {
		if kv != "" {
			kept = append(kept, kv)
		}
	}
	return kept
}
