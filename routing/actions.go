package routing

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// builder makes an action of its argument.
type builder func(c *compiler, argument string) (action, error)

// actions are all actions by name. It is filled by init because labels and functions of templates lead back here.
var actions map[string]builder

func init() {
	actions = map[string]builder{}
	for _, some := range []map[string]builder{flowActions, logActions, variableActions, headerActions, answerActions, fileActions, authActions, cacheActions, rpcActions, proxyActions, metricActions} {
		maps.Copy(actions, some)
	}
}

// Actions returns the names of all actions.
func Actions() []string { return slices.Sorted(maps.Keys(actions)) }

// otherActions are uWSGI's actions that are not here, and what to do instead.
var otherActions = map[string]string{
	"access":             "use --route-if-not ipv4in:${REMOTE_ADDR};NETWORK break:403",
	"cgi":                "name the programs by --cgi, and have them answer by uwsgi:,9,0",
	"cgihelper":          "name the programs by --cgi, and have them answer by uwsgi:,9,0",
	"chdir":              "it would hold for all later requests of the worker: start an instance with its own --chdir, and proxy to it with uwsgi:",
	"fcgi":               "proxy with http: or uwsgi:",
	"gridfs":             "GridFS is not served",
	"httpconnect":        "tunnels are not opened: use a forward proxy",
	"proxyhttpconnect":   "tunnels are not opened: use a forward proxy",
	"httpdumb":           "use http:",
	"ldapauth":           "use basicauth:, or have the web server in front ask LDAP",
	"ldapauth-next":      "use basicauth-next:, or have the web server in front ask LDAP",
	"lua":                "there is no Lua: use rpc: with a function of the application's",
	"memcached":          "use cache: with a cache of --cache2",
	"memcached-continue": "use cache-continue: with a cache of --cache2",
	"memcachedstore":     "use cachestore: with a cache of --cache2",
	"memcached-store":    "use cachestore: with a cache of --cache2",
	"offload":            "bodies are sent without a core waiting, always: leave it out",
	"pam":                "use basicauth: with a file of users",
	"radius":             "use basicauth:, or have the web server in front ask RADIUS",
	"redis":              "use cache: with a cache of --cache2",
	"redis-continue":     "use cache-continue: with a cache of --cache2",
	"redisstore":         "use cachestore: with a cache of --cache2",
	"redis-store":        "use cachestore: with a cache of --cache2",
	"rpcraw":             "use rpc:",
	"scgi":               "proxy with http: or uwsgi:",
	"sethome":            "a worker has the one virtualenv that it was started with: start another instance, and proxy to it with uwsgi:",
	"spnego":             "have the web server in front authenticate",
	"ssi":                "pages with server-side includes are not made",
	"symcall":            "there is no C to call: use rpc: with a function of the application's",
	"symcall-next":       "there is no C to call: use rpc: with a function of the application's",
	"template":           "pages are made by the application",
	"tofile":             "use cachestore:, or have the application write the file",
	"to-file":            "use cachestore:, or have the application write the file",
	"toupper":            "bodies are not rewritten",
	"webdav":             "files are not served by WebDAV; use nginx or Apache",
	"xattr":              "extended attributes are not read",
	"xmldir":             "directories are not listed; use nginx or Apache",
	"xslt":               "pages are made by the application",
}

// plain makes actions that take no argument. Some is not refused: uWSGI takes it, and people write what the rule is for.
func plain(act action) builder {
	return func(c *compiler, argument string) (action, error) {
		if argument != "" {
			c.note("the action takes no argument: %q means nothing", argument)
		}
		return act, nil
	}
}

// flowActions say where the rules go on.
var flowActions = map[string]builder{
	"continue": plain(func(*Request) outcome { return proceed }),
	"last":     plain(func(*Request) outcome { return proceed }),
	"goto":     gotoAction,
}

// jumpTo is where a goto leads.
type jumpTo struct {
	text   *template
	labels map[string][]int // indexes of rules by label
	rules  int              // of the stage
	fixed  int              // the index; -1: it depends on the request
}

func gotoAction(c *compiler, argument string) (action, error) {
	if argument == "" {
		return nil, errors.New("it needs a label")
	}
	j := &jumpTo{text: c.template(argument), fixed: -1}
	c.jump = j
	return func(r *Request) outcome {
		if j.fixed >= 0 {
			r.target = j.fixed
			return jump
		}
		label := string(j.text.look(r))
		at, found := j.find(label, r.at)
		if !found {
			r.log(fmt.Sprintf("goto:%s leads nowhere: there is no such label after the rule", label))
			return r.fail("500")
		}
		r.target = at
		return jump
	}, nil
}

// find returns the first place with that label after a rule; a number is a rule.
func (j *jumpTo) find(label string, after int) (int, bool) {
	for _, at := range j.labels[label] {
		if at > after {
			return at, true
		}
	}
	if !isInt(label) {
		return 0, false
	}
	n := leadingInt([]byte(label))
	return int(min(n, int64(j.rules))), n > int64(after)
}

// linkJumps tells every goto where its labels are, now that all rules are known.
func (p *Program) linkJumps() (wrong []*RuleError) {
	for stage := range p.stages {
		rules := p.stages[stage]
		labels := map[string][]int{}
		for i := range rules {
			if rules[i].kind == labelRule {
				labels[rules[i].label] = append(labels[rules[i].label], i)
			}
		}
		for i := range rules {
			j := rules[i].jump
			if j == nil {
				continue
			}
			j.labels, j.rules = labels, len(rules)
			if j.text.constant == nil {
				continue
			}
			at, found := j.find(string(j.text.constant), i)
			if !found {
				wrong = append(wrong, &RuleError{rules[i].given, fmt.Errorf("goto: there is no label %q after this rule", j.text.constant)})
				continue
			}
			j.fixed = at
		}
	}
	return wrong
}

// logActions are about the log and the time that a request may take.
var logActions = map[string]builder{
	"log": func(c *compiler, argument string) (action, error) {
		text := c.template(argument)
		return func(r *Request) outcome { r.logf("%s", text.look(r)); return next }, nil
	},
	"logvar": func(c *compiler, argument string) (action, error) {
		name, value, found := strings.Cut(argument, "=")
		if !found || name == "" {
			return nil, errors.New("invalid logvar syntax, must be key=value")
		}
		text := c.template(value)
		return func(r *Request) outcome {
			r.Effects.LogVars = append(r.Effects.LogVars, LogVar{name, text.text(r)})
			return next
		}, nil
	},
	"donotlog":     plain(func(r *Request) outcome { r.Effects.NoLog = true; return next }),
	"donotoffload": plain(func(*Request) outcome { return next }), // no core waits for a file in any case
	"harakiri": func(_ *compiler, argument string) (action, error) {
		n, err := numberUpTo(argument, 1<<31-1)
		return func(r *Request) outcome { r.Effects.HarakiriSeconds = n; return next }, err
	},
	"signal": func(_ *compiler, argument string) (action, error) {
		n, err := numberUpTo(argument, 255)
		return func(r *Request) outcome {
			if err := r.outside.Signal(byte(n)); err != nil {
				r.log(fmt.Sprintf("signal %d: %v", n, err))
			}
			return next
		}, err
	},
	"alarm": func(c *compiler, argument string) (action, error) {
		name, message, found := strings.Cut(argument, " ")
		if !found || name == "" {
			return nil, errors.New("it needs the name of an alarm, a blank and a message")
		}
		text := c.template(message)
		return func(r *Request) outcome { r.outside.Alarm(name, text.text(r)); return next }, nil
	},
}

// numberUpTo reads an argument that is a number from 0 to the most.
func numberUpTo(text string, most int64) (int, error) {
	n := leadingInt([]byte(text))
	if !isInt(text) || n < 0 || n > most {
		return 0, fmt.Errorf("%q: a number from 0 to %d is needed", text, most)
	}
	return int(n), nil
}
