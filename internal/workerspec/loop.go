package workerspec

// Loop is what runs the requests of a worker as coroutines on its one thread.
type Loop struct {
	Name  string `json:"name"`  // async, gevent or asyncio
	Quiet bool   `json:"quiet"` // nothing is said when all requests are in hand

	Patch      bool `json:"patch"`        // gevent is to patch the standard library, in each worker
	WaitForHub bool `json:"wait_for_hub"` // the end of a worker waits for all of gevent's greenlets
}
