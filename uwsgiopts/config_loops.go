package uwsgiopts

import (
	"cmp"
	"slices"
	"strings"
)

// LoopConfig is how a worker handles several requests at once on one thread.
type LoopConfig struct {
	Async int    // requests at once in a worker; 0: there is no loop
	Loop  string // LoopGevent …; "": threads serve

	GeventPatch      bool // in each worker, after the application is loaded
	GeventEarlyPatch bool // before it is loaded
	GeventWaitForHub bool // a worker that ends waits for all greenlets

	ASGI         string // MODULE:CALLABLE
	ASGIFile     string
	ASGILoop     string // auto, asyncio or uvloop
	ASGILifespan string // auto, on or off

	QuietQueueFull bool // nothing is said when all requests of a loop are in hand
}

// WebsocketConfig is what the clients of websockets may do.
type WebsocketConfig struct {
	WebsocketPing         int   // seconds between pings; 0: none
	WebsocketPong         int   // seconds to wait for a pong; 0: for ever
	WebsocketMaxSize      int64 // of a message, in bytes
	WebsocketContinuation int64 // of one in several frames, in bytes; 0: as any
}

// maxCores is how many processes there may be, and how many requests each may handle at once.
const maxCores = 10_000

// The loops that there are.
const (
	LoopAsync   = "async"
	LoopGevent  = "gevent"
	LoopAsyncio = "asyncio"
	LoopTornado = "tornado"
	LoopASGI    = "asgi"
)

// asgiCores is how many requests a worker of an ASGI application handles at once, if nothing else is said.
const asgiCores = 256

var loops = []string{LoopAsync, LoopGevent, LoopAsyncio, LoopTornado}

// Cores is the number of requests that a worker handles at once.
func (c *Config) Cores() int { return max(c.Threads, c.Async) }

func setAsync(c *Config, g given) error {
	n, err := g.integer(maxCores)
	c.Async = int(n)
	return err
}

// setLoop takes the number of requests and names what runs them.
func setLoop(name string) setter {
	return func(c *Config, g given) error {
		if err := setAsync(c, g); err != nil {
			return err
		}
		c.Loop = name
		return nil
	}
}

// finishLoops names the loop of --async alone, and refuses what no loop can do.
func (p *parser) finishLoops() error {
	c := p.cfg
	if err := p.finishASGI(); err != nil {
		return err
	}
	switch {
	case c.Loop == LoopASGI && cmp.Or(c.ASGI, c.ASGIFile) != "":
	case c.Loop == "simple" || c.Loop == "uwsgi":
		c.Loop = ""
		if c.Async > 0 {
			return p.refuseValue("loop", "the loop %s handles one request at a time: remove --async or --loop", "simple")
		}
	case c.Loop == "" && c.Async > 0:
		c.Loop = LoopAsync
	case c.Loop != "" && !slices.Contains(loops, c.Loop):
		return p.refuseValue("loop", "unknown loop %q; available: %s", c.Loop, strings.Join(loops, ", "))
	}
	if c.Loop == "" {
		if c.GeventPatch || c.GeventWaitForHub {
			c.Notices = append(c.Notices, `options "gevent-monkey-patch" and "gevent-wait-for-hub" have no effect without --gevent`)
		}
		return nil
	}
	switch {
	case c.Async == 0:
		return p.refuseValue("loop", "the loop %s needs the number of concurrent requests of a worker: --async N or --%[1]s N", c.Loop)
	case c.Threads > 1:
		return p.refuseValue("threads", "a worker uses either threads or the loop %s: remove one of them", c.Loop)
	}
	return nil
}

// finishASGI has an ASGI application take the place of one of WSGI.
func (p *parser) finishASGI() error {
	c := p.cfg
	given, option := cmp.Or(c.ASGI, c.ASGIFile), "asgi"
	if c.ASGI == "" {
		option = "asgi-file"
	}
	switch {
	case given == "":
		return nil
	case c.ASGI != "" && c.ASGIFile != "":
		return p.refuseValue(option, "only one application can be served: remove --asgi-file")
	case c.WSGIFile != "" || len(c.Modules) > 0 || len(c.Mounts) > 0 || c.Paste != "" || c.Pecan != "" || c.Eval != "":
		return p.refuseValue(option, "an instance serves either an ASGI application or WSGI applications: remove one of them")
	case c.Loop != "" && c.Loop != LoopASGI:
		return p.refuseValue(option, "the loop %s does not run ASGI applications: remove it", c.Loop)
	}
	if c.ASGI != "" {
		c.Modules = []string{c.ASGI}
	}
	c.WSGIFile, c.Loop = c.ASGIFile, LoopASGI
	c.HTTPAutoChunked = true // as its servers do
	if c.Async == 0 {
		c.Async = asgiCores
	}
	return nil
}

func listLoops(c *Config, g given) error {
	if g.on() {
		c.Notices = append(c.Notices, "*** uWSGI loaded loop engines ***\nsimple\n"+strings.Join(loops, "\n")+"\n--- end of loop engines list ---")
	}
	return nil
}
