package uwsgiopts

import "strings"

// environment is the process's variables as the configuration sees and changes them.
type environment struct {
	list    []string          // as given, in order
	values  map[string]string // current
	read    map[string]bool   // variables that the configuration asks for
	changes []string          // made by ienv and early-envdir, in order: KEY=VALUE, or KEY to remove
}

func newEnvironment(environ []string) *environment {
	env := &environment{list: environ, values: make(map[string]string, len(environ)), read: map[string]bool{}}
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			if _, twice := env.values[k]; !twice {
				env.values[k] = v
			}
		}
	}
	return env
}

// get returns a variable that the configuration asks for.
func (env *environment) get(name string) (value string, ok bool) {
	env.read[name] = true
	value, ok = env.values[name]
	return value, ok
}

// put applies KEY=VALUE, or removes KEY.
func (env *environment) put(kv string) {
	env.changes = append(env.changes, kv)
	if k, v, ok := strings.Cut(kv, "="); ok {
		env.values[k] = v
	} else {
		delete(env.values, kv)
	}
}

// The prefix of variables that are options, and where those say that they come from.
const (
	variablePrefix  = "UWSGI_"
	fromEnvironment = "environment"
)

// notOptions are UWSGI_* variables that uWSGI's processes leave for each other.
var notOptions = map[string]bool{
	"RELOADS": true, "VASSALS_DIR": true, "EMPEROR_FD": true, "EMPEROR_FD_CONFIG": true, "EMPEROR_PROXY": true,
	"BROODLORD_NUM": true, "JAIL_PID": true, "ORIGINAL_PROC_NAME": true,
}

// readEnvironment records UWSGI_FOO_BAR=v as foo-bar = v.
func (p *parser) readEnvironment() error {
	for _, kv := range p.env.list {
		name, value, ok := strings.Cut(kv, "=")
		name, found := strings.CutPrefix(name, variablePrefix)
		if !ok || !found || notOptions[name] {
			continue
		}
		name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if err := p.record(&entry{Pair: Pair{Name: name, Value: value, Origin: Origin{Source: fromEnvironment}}}); err != nil {
			return err
		}
	}
	return nil
}
