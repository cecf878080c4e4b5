package workerspec

// Loop is what runs the requests of a worker as coroutines on its one thread.
type Loop struct {
	Name  string `json:"name"`  // async, gevent, asyncio or asgi
	Quiet bool   `json:"quiet"` // nothing is said when all requests are in hand

	EventLoop string `json:"event_loop"` // of ASGI: auto, asyncio or uvloop
	Lifespan  string `json:"lifespan"`   // auto, on or off

	Patch      bool `json:"patch"`        // gevent is to patch the standard library, in each worker
	WaitForHub bool `json:"wait_for_hub"` // the end of a worker waits for all of gevent's greenlets
}

// ASGI tells whether requests are tasks of an ASGI application's: they begin before their bodies are there, and are cancelled
// before a process is killed. l may be nil.
func (l *Loop) ASGI() bool { return l != nil && l.Name == "asgi" }
