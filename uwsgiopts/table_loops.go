package uwsgiopts

// loopOptions declares: Request loops and websockets.
func loopOptions() []Option {
	return []Option{
		{Names: []string{"async"}, Arg: RequiredArg, Doc: "number of requests that a worker handles at once, on one thread", Value: Int.by(setAsync)},
		{Names: []string{"disable-async-warn-on-queue-full"}, Doc: "do not log that all cores of a loop are busy", Value: flagOn(func(c *Config) *bool { return &c.QuietQueueFull })},
		{Names: []string{"loop"}, Arg: RequiredArg, Doc: "what runs the requests of --async: gevent, asyncio, tornado, or async, which is the server's own", Value: text(func(c *Config) *string { return &c.Loop })},
		{Names: []string{"loop-list", "loops-list"}, Doc: "list the loops", Value: Flag.by(listLoops)},
		{Names: []string{"asyncio"}, Arg: RequiredArg, Doc: "run requests as greenlets beside an asyncio loop, this many at once in a worker", Value: Int.by(setLoop(LoopAsyncio))},
		{Names: []string{"tornado"}, Arg: RequiredArg, Doc: "run requests as greenlets beside Tornado's loop, this many at once in a worker", Value: Int.by(setLoop(LoopTornado))},
		{Names: []string{"gevent"}, Arg: RequiredArg, Doc: "run requests as gevent greenlets, this many at once in a worker", Value: Int.by(setLoop(LoopGevent))},
		{Names: []string{"gevent-monkey-patch"}, Doc: "let gevent patch the standard library in each worker, after the application is loaded", Value: flagOn(func(c *Config) *bool { return &c.GeventPatch })},
		{Names: []string{"gevent-early-monkey-patch"}, Doc: "let gevent patch the standard library before the application is loaded", Value: flagOn(func(c *Config) *bool { return &c.GeventEarlyPatch })},
		{Names: []string{"gevent-wait-for-hub"}, Doc: "let a worker that ends wait for all of gevent's greenlets, not only for those of requests", Value: flagOn(func(c *Config) *bool { return &c.GeventWaitForHub })},
		{Names: []string{"greenlet"}, Value: Flag, Doc: "run the requests of --async as greenlets", NoOp: "requests of --async and --asyncio always run as greenlets"},
		{Names: []string{"ugreen"}, Value: Flag, Doc: "run the requests of --async as coroutines of the server's", NoOp: "the requests of --async are greenlets, which do the same on every platform"},
		{Names: []string{"ugreen-stacksize"}, Arg: RequiredArg, Value: Int, Doc: "size of the coroutines' stacks, in pages", NoOp: "greenlets share the thread's stack and need none of their own"},
		{Names: []string{"asgi"}, Arg: RequiredArg, Flags: Own, Doc: "load the ASGI application from this module: MODULE[:CALLABLE]", Value: text(func(c *Config) *string { return &c.ASGI })},
		{Names: []string{"asgi-file"}, Arg: RequiredArg, Flags: Own, Doc: "load the ASGI application from this file", Value: text(func(c *Config) *string { return &c.ASGIFile })},
		{Names: []string{"asgi-loop"}, Arg: RequiredArg, Flags: Own, Doc: "event loop of an ASGI application: asyncio, uvloop, or auto, which is uvloop where it is installed", Value: oneOf(func(c *Config) *string { return &c.ASGILoop }, "auto", "asyncio", "uvloop")},
		{Names: []string{"asgi-lifespan"}, Arg: RequiredArg, Flags: Own, Doc: "tell an ASGI application when it starts and ends: on, off, or auto, which is on if it knows of that", Value: oneOf(func(c *Config) *string { return &c.ASGILifespan }, "auto", "on", "off")},
		{Names: []string{"asgi-limit-concurrency"}, Arg: RequiredArg, Flags: Own, Default: "256", Doc: "number of requests of an ASGI application that a worker handles at once", Value: Int.by(setAsync)},
		{Names: []string{"websockets-ping-freq", "websocket-ping-freq"}, Arg: RequiredArg, Doc: "seconds without a message after which a websocket's client is sent a ping; 0: none is sent", Value: number(func(c *Config) *int { return &c.WebsocketPing })},
		{Names: []string{"websockets-pong-tolerance", "websocket-pong-tolerance"}, Arg: RequiredArg, Doc: "seconds that the client of a websocket may take to answer a ping; 0: any time", Value: number(func(c *Config) *int { return &c.WebsocketPong })},
		{Names: []string{"websockets-max-size", "websocket-max-size"}, Arg: RequiredArg, Doc: "largest message on a websocket, in kilobytes", Value: kilobytes(func(c *Config) *int64 { return &c.WebsocketMaxSize })},
		{Names: []string{"websockets-continuation-buffer"}, Arg: RequiredArg, Flags: Own, Doc: "largest message on a websocket that comes in several frames, in kilobytes; without it websockets-max-size counts", Value: kilobytes(func(c *Config) *int64 { return &c.WebsocketContinuation })},
		{Names: []string{"coroae"}, Arg: RequiredArg, Doc: "run requests as Coro::AnyEvent coroutines", Unsupported: otherLanguage},
		{Names: []string{"fiber"}, Value: Flag, Doc: "run requests as Ruby fibers", Unsupported: otherLanguage},
		{Names: []string{"rbthreads", "rb-threads", "rbthread", "rb-thread"}, Value: Flag, Doc: "run requests as Ruby threads", Unsupported: otherLanguage},
		{Names: []string{"stackless"}, Value: Flag, Doc: "run requests as Stackless tasklets", Unsupported: "Stackless Python is discontinued; use --threads"},
	}
}
