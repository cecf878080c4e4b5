package uwsgiopts

// sharingOptions declares: Cache, queue and shared memory.
func sharingOptions() []Option {
	return []Option{
		{Names: []string{"sharedarea"}, Short: 'A', Arg: RequiredArg, Value: List, Doc: "make a piece of shared memory: PAGES, or keys and values"},
		{Names: []string{"cache"}, Arg: RequiredArg, Value: Wide, Doc: "make a cache with this many items"},
		{Names: []string{"cache-blocksize"}, Arg: RequiredArg, Value: Bytes, Doc: "size of a cache block, in bytes"},
		{Names: []string{"cache-store"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "keep the cache in this file"},
		{Names: []string{"cache-store-sync"}, Arg: RequiredArg, Value: Int, Doc: "seconds between writes of the cache to its file"},
		{Names: []string{"cache-no-expire"}, Value: Flag, Doc: "never expire items of the cache"},
		{Names: []string{"cache-expire-freq"}, Arg: RequiredArg, Value: Int, Doc: "seconds between looks for expired items"},
		{Names: []string{"cache-report-freed-items"}, Value: Flag, Doc: "log how many items have expired"},
		{Names: []string{"cache-udp-server"}, Arg: RequiredArg, Value: List, Flags: StartsMaster, Doc: "take changes of the cache from this address"},
		{Names: []string{"cache-udp-node"}, Arg: RequiredArg, Value: List, Flags: StartsMaster, Doc: "send changes of the cache to this address"},
		{Names: []string{"cache-sync"}, Arg: RequiredArg, Doc: "fill the cache from another instance at the start"},
		{Names: []string{"cache-use-last-modified"}, Value: Flag, Doc: "keep the time of the last change of each item"},
		{Names: []string{"add-cache-item"}, Arg: RequiredArg, Value: List, Doc: "put an item into the cache: [CACHE ]KEY=VALUE"},
		{Names: []string{"load-file-in-cache"}, Arg: RequiredArg, Value: List, Doc: "put a file into the cache"},
		{Names: []string{"load-file-in-cache-gzip"}, Arg: RequiredArg, Value: List, Doc: "put a file into the cache, compressed"},
		{Names: []string{"cache2"}, Arg: RequiredArg, Value: List, Doc: "make a cache: name=NAME,items=N,…"},
		{Names: []string{"queue"}, Arg: RequiredArg, Value: Int, Doc: "make a shared queue of this many blocks"},
		{Names: []string{"queue-blocksize"}, Arg: RequiredArg, Value: Bytes, Doc: "size of a block of the queue, in bytes"},
		{Names: []string{"queue-store"}, Arg: RequiredArg, Flags: StartsMaster, Doc: "keep the queue in this file"},
		{Names: []string{"queue-store-sync"}, Arg: RequiredArg, Value: Int, Doc: "seconds between writes of the queue to its file"},
		{Names: []string{"check-cache"}, Arg: OptionalArg, Doc: "answer from this cache if it has the path"},
	}
}
