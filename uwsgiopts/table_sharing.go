package uwsgiopts

import "time"

// cachesElsewhere is why instances do not tell each other of changes.
const cachesElsewhere = "changes sent between instances can be lost or reordered; keep the cache in one instance, and read it from the others: uwsgi.cache_get(key, 'NAME@HOST:PORT')"

// sharingOptions declares: Cache, queue and shared memory.
func sharingOptions() []Option {
	return []Option{
		{Names: []string{"sharedarea"}, Short: 'A', Arg: RequiredArg, Value: List.by(setSharedArea), Doc: "make a piece of shared memory: PAGES, or keys and values"},
		{Names: []string{"cache"}, Arg: RequiredArg, Value: wide(func(c *Config) *int64 { return &c.cache.Items }), Doc: "make a cache with this many items"},
		{Names: []string{"cache-blocksize"}, Arg: RequiredArg, Value: size(func(c *Config) *int64 { return &c.cache.BlockSize }), Doc: "size of a cache block, in bytes"},
		{Names: []string{"cache-store"}, Arg: RequiredArg, Flags: StartsMaster, Value: text(func(c *Config) *string { return &c.cache.Store }), Doc: "keep the cache in this file"},
		{Names: []string{"cache-store-sync"}, Arg: RequiredArg, Value: seconds(func(c *Config) *time.Duration { return &c.cache.StoreSync }), Doc: "seconds between writes of the cache to its file"},
		{Names: []string{"cache-no-expire"}, Value: flagOn(func(c *Config) *bool { return &c.cacheNoExpire }), Doc: "never expire items of the cache"},
		{Names: []string{"cache-expire-freq"}, Arg: RequiredArg, Value: number(func(c *Config) *int { return &c.CacheExpireFreq }), Doc: "seconds between looks for expired items"},
		{Names: []string{"cache-report-freed-items"}, Value: flagOn(func(c *Config) *bool { return &c.CacheReportFreed }), Doc: "log how many items have expired"},
		{Names: []string{"cache-udp-server"}, Arg: RequiredArg, Value: List, Flags: StartsMaster, Doc: "take changes of the cache from this address", Unsupported: cachesElsewhere},
		{Names: []string{"cache-udp-node"}, Arg: RequiredArg, Value: List, Flags: StartsMaster, Doc: "send changes of the cache to this address", Unsupported: cachesElsewhere},
		{Names: []string{"cache-sync"}, Arg: RequiredArg, Doc: "fill the cache from another instance at the start", Unsupported: cachesElsewhere},
		{Names: []string{"cache-use-last-modified"}, Value: flagOn(func(c *Config) *bool { return &c.cacheLastModified }), Doc: "keep the time of the last change of each item"},
		{Names: []string{"add-cache-item"}, Arg: RequiredArg, Value: List.by(setCacheItem), Doc: "put an item into the cache: [CACHE ]KEY=VALUE"},
		{Names: []string{"load-file-in-cache"}, Arg: RequiredArg, Value: cacheFile(false), Doc: "put a file into the cache"},
		{Names: []string{"load-file-in-cache-gzip"}, Arg: RequiredArg, Value: cacheFile(true), Doc: "put a file into the cache, compressed"},
		{Names: []string{"cache2"}, Arg: RequiredArg, Value: List.by(setCache2), Doc: "make a cache: name=NAME,items=N,…"},
		{Names: []string{"queue"}, Arg: RequiredArg, Value: number(func(c *Config) *int { return &c.Queue }), Doc: "make a shared queue of this many blocks"},
		{Names: []string{"queue-blocksize"}, Arg: RequiredArg, Value: size(func(c *Config) *int64 { return &c.QueueBlockSize }), Doc: "size of a block of the queue, in bytes"},
		{Names: []string{"queue-store"}, Arg: RequiredArg, Flags: StartsMaster, Value: text(func(c *Config) *string { return &c.QueueStore }), Doc: "keep the queue in this file"},
		{Names: []string{"queue-store-sync"}, Arg: RequiredArg, Value: seconds(func(c *Config) *time.Duration { return &c.QueueSync }), Doc: "seconds between writes of the queue to its file"},
		{Names: []string{"check-cache"}, Arg: OptionalArg, Value: Text.by(setCheckCache), Doc: "answer GET with the item that the request URI names in this cache (the first one): a whole response, head included, which is sent as it is"},
	}
}
