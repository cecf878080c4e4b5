package routing

import (
	"fmt"
	"strconv"
	"strings"
)

// cacheActions use the caches of --cache2. A cache that there is not is an empty one that takes nothing.
var cacheActions = map[string]builder{
	"cache":          cacheAction,
	"cache-continue": cacheContinueAction,
	"cachevar":       cacheVarAction,
	"cacheset":       cacheSetAction,
	"cachestore":     cacheStoreAction,
	"cache-store":    cacheStoreAction,
	"cacheinc":       cacheChangeAction(Add),
	"cachedec":       cacheChangeAction(Subtract),
	"cachemul":       cacheChangeAction(Multiply),
	"cachediv":       cacheChangeAction(Divide),
}

// cacheSettings reads the settings of a cache action and notes the cache.
func (c *compiler) cacheSettings(argument string, needed []string, others ...string) (settings, error) {
	s, err := readSettings(argument, append(append([]string{"name"}, needed...), others...)...)
	if err != nil {
		return nil, err
	}
	c.program.addCache(s["name"])
	if Elsewhere(s["name"]) {
		c.waits()
	}
	return s, s.need(needed...)
}

// Elsewhere tells whether a cache is another instance's: NAME@HOST:PORT.
func Elsewhere(cache string) bool { return strings.Contains(cache, "@") }

func (p *Program) addCache(name string) {
	for _, known := range p.caches {
		if known == name {
			return
		}
	}
	p.caches = append(p.caches, name)
}

// cacheAction answers with an item, if there is one.
func cacheAction(c *compiler, argument string) (action, error) { return c.fromCache(argument, end) }

// cacheContinueAction answers, and lets the other rules run nevertheless.
func cacheContinueAction(c *compiler, argument string) (action, error) {
	return c.fromCache(argument, next)
}

func (c *compiler) fromCache(argument string, after outcome) (action, error) {
	s, err := c.cacheSettings(argument, []string{"key"}, "content_type", "content_encoding", "mime", "no_cl", "nocl", "no_offload")
	if err != nil {
		return nil, err
	}
	key, kind, encoding := c.template(s["key"]), c.template(s["content_type"]), c.template(s["content_encoding"])
	cache, byName, noLength := s["name"], s.on("mime"), s.on("no_cl", "nocl")
	return func(r *Request) outcome {
		k := key.look(r)
		value, expires, found := r.outside.CacheGet(cache, k)
		if !found {
			return next
		}
		a := &Answer{Status: "200 OK", Body: value}
		contentType := string(cut(kind.look(r)))
		if byName {
			contentType = r.outside.MIME(string(k))
		}
		if contentType == "" {
			contentType = "text/html"
		}
		a.Headers = append(a.Headers, "Content-Type: "+contentType)
		if text := cut(encoding.look(r)); len(text) > 0 {
			a.Headers = append(a.Headers, "Content-Encoding: "+string(text))
		}
		if expires > 0 {
			a.Headers = append(a.Headers, string(appendDate([]byte("Expires: "), expires)))
		}
		if !noLength {
			a.Headers = append(a.Headers, "Content-Length: "+strconv.Itoa(len(value)))
		}
		if after == next {
			r.sent = a
			return next
		}
		return r.answer(a)
	}, nil
}

// checkCache makes the rule of --check-cache: the item that the URI names is a whole response, and answers GET as it is.
func (c *compiler) checkCache(u *rule, cache string) {
	c.program.addCache(cache)
	method, uri := c.program.names.add("REQUEST_METHOD"), c.program.names.add("REQUEST_URI")
	u.kind, u.description = runRule, "check-cache: "+cache
	u.action = func(r *Request) outcome {
		if string(r.variable(method)) != "GET" {
			return next
		}
		value, _, found := r.outside.CacheGet(cache, r.variable(uri))
		if !found || len(value) == 0 {
			return next
		}
		r.Effects.Raw, r.Effects.RawSent = append(r.Effects.Raw, value...), true
		r.verdict = Verdict{Kind: Close}
		return end
	}
}

func cacheVarAction(c *compiler, argument string) (action, error) {
	s, err := c.cacheSettings(argument, []string{"key", "var"})
	if err != nil {
		return nil, err
	}
	key, cache, name := c.template(s["key"]), s["name"], s["var"]
	return func(r *Request) outcome {
		value, _, found := r.outside.CacheGet(cache, key.look(r))
		if !found {
			return next
		}
		return r.put(name, r.keep(append(r.begin(), value...)))
	}, nil
}

// cacheSetAction stores an item, unless there is one.
func cacheSetAction(c *compiler, argument string) (action, error) {
	s, err := c.cacheSettings(argument, []string{"key", "value"}, "expires")
	if err != nil {
		return nil, err
	}
	seconds, err := s.number("expires", 0)
	key, value, cache := c.template(s["key"]), c.template(s["value"]), s["name"]
	return func(r *Request) outcome {
		r.outside.CacheSet(cache, key.text(r), value.text(r), seconds)
		return next
	}, err
}

// cacheStoreAction stores the body of the response.
func cacheStoreAction(c *compiler, argument string) (action, error) {
	s, err := c.cacheSettings(argument, []string{"key"}, "expires")
	if err != nil {
		return nil, err
	}
	seconds, err := s.number("expires", 0)
	key, cache := c.template(s["key"]), s["name"]
	return func(r *Request) outcome {
		r.Effects.Store = append(r.Effects.Store, CacheStore{Cache: cache, Key: key.text(r), Seconds: seconds})
		return next
	}, err
}

func cacheChangeAction(op Operation) builder {
	return func(c *compiler, argument string) (action, error) {
		s, err := c.cacheSettings(argument, []string{"key"}, "value", "expires")
		if err != nil {
			return nil, err
		}
		by, err := s.number("value", 1)
		if err != nil {
			return nil, err
		}
		seconds, err := s.number("expires", 0)
		key, cache := c.template(s["key"]), s["name"]
		return func(r *Request) outcome {
			if !r.outside.CacheChange(cache, key.look(r), op, by, seconds) {
				r.log(fmt.Sprintf("the item %q of the cache %q has not been changed", key.look(r), cache))
			}
			return next
		}, err
	}
}
