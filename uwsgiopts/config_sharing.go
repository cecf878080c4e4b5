package uwsgiopts

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SharingConfig is the memory of the `uwsgi` module that processes share.
type SharingConfig struct {
	Caches            []Cache // the first is the one without a name in the application's calls
	CacheItems        []CacheItem
	CacheExpireFreq   int // seconds between looks at the same item
	CacheReportFreed  bool
	cacheNoExpire     bool
	cacheLastModified bool
	cache             Cache // of --cache

	Queue          int // slots; 0: there is no queue
	QueueBlockSize int64
	QueueStore     string
	QueueSync      time.Duration

	SharedAreas []SharedArea
	pyAreas     []SharedArea
}

// Cache is one cache.
type Cache struct {
	Name                                        string
	Items, Blocks, BlockSize, KeySize, HashSize int64
	Hash                                        string        // the name that the statistics show
	Bitmap                                      bool          // a value may have several blocks
	Store                                       string        // "": it ends with the instance
	StoreSync                                   time.Duration // 0: the system writes it when it likes
	StoreDelete                                 bool          // a store that is another cache's is removed
	LastModified, PurgeLRU, IgnoreFull          bool
	LazyExpire, NoExpire, ClearOnFull           bool
	MathInitial                                 int64
}

// CacheItem is what is put into a cache at the start.
type CacheItem struct {
	Cache, Key, Value string
	File              bool // the key is the name of a file with the value
	Gzip              bool
}

// SharedArea is one shared area.
type SharedArea struct {
	Size   int64  // 0: as large as the file
	Offset int64  // in the file
	File   string // "": memory
	FD     int    // -1: none was passed on
	Object bool   // uwsgi.sharedarea_object() gives it
}

// What uWSGI makes of a cache of which nothing is said.
const (
	cacheBlockSize  = 64 << 10
	cacheKeySize    = 2048
	cacheHashSize   = 64 << 10
	cacheExpireFreq = 3
	queueBlockSize  = 8192
	// mostMemory bounds a size, so that no sum or product of sizes overflows.
	mostMemory = 1 << 46
)

func sharingDefaults() SharingConfig {
	return SharingConfig{CacheExpireFreq: cacheExpireFreq, QueueBlockSize: queueBlockSize, cache: newCache("default")}
}

func newCache(name string) Cache {
	return Cache{Name: name, BlockSize: cacheBlockSize, KeySize: cacheKeySize, HashSize: cacheHashSize, Hash: "djb33x"}
}

// setCache2 reads KEY=VALUE,KEY=VALUE.
func setCache2(c *Config, g given) error {
	cache := newCache("")
	for part := range strings.SplitSeq(g.text, ",") {
		key, value, hasValue := strings.Cut(part, "=")
		if err := cache.set(key, given{name: g.name, text: value, flag: !hasValue, notice: g.notice}); err != nil {
			return fmt.Errorf("option %q: %s: %w", g.name, key, err)
		}
	}
	return c.addCache(g.name, cache)
}

func (cache *Cache) set(key string, g given) (err error) {
	numbers := map[string]*int64{
		"items": &cache.Items, "max_items": &cache.Items, "maxitems": &cache.Items, "blocks": &cache.Blocks, "blocksize": &cache.BlockSize,
		"keysize": &cache.KeySize, "hashsize": &cache.HashSize, "math_initial": &cache.MathInitial,
	}
	texts := map[string]*string{"name": &cache.Name, "store": &cache.Store, "hash": &cache.Hash}
	flags := map[string]*bool{
		"bitmap": &cache.Bitmap, "store_delete": &cache.StoreDelete, "lastmod": &cache.LastModified, "purge_lru": &cache.PurgeLRU,
		"lru": &cache.PurgeLRU, "ignore_full": &cache.IgnoreFull, "lazy_expire": &cache.LazyExpire, "no_expire": &cache.NoExpire,
		"clear_on_full": &cache.ClearOnFull,
		"sweep_on_full": new(bool), // expired items make room always
	}
	switch {
	case numbers[key] != nil:
		*numbers[key], err = quantity(g)
	case texts[key] != nil && !g.flag:
		*texts[key] = g.text
	case flags[key] != nil:
		*flags[key] = g.on()
	case key == "store_sync" || key == "storesync":
		var n int64
		n, err = g.integer(math.MaxInt32)
		cache.StoreSync = time.Duration(n) * time.Second
	case key == "nodes" || key == "sync" || key == "udp" || key == "udp_servers":
		err = errors.New(cachesElsewhere)
	default:
		err = errors.New("is not known")
	}
	return err
}

// quantity is a number, of bytes with a unit if one is given.
func quantity(g given) (int64, error) {
	if g.flag {
		return 0, errors.New("a number is needed")
	}
	digits := strings.TrimSpace(g.text)
	if n, err := strconv.ParseInt(digits, 0, 64); err == nil {
		return n, nil
	}
	n, err := given{name: g.name, text: digits, notice: func(string, ...any) {}}.bytes()
	if err == nil && n == 0 {
		err = fmt.Errorf("%q is not a number", g.text)
	}
	return n, err
}

// hasCache tells whether there is a cache of that name; "" is the first one.
func (c *Config) hasCache(name string) bool {
	return name == "" && len(c.Caches) > 0 || slices.ContainsFunc(c.Caches, func(cache Cache) bool { return cache.Name == name })
}

// addCache checks what uWSGI checks, and says the same of it.
func (c *Config) addCache(option string, cache Cache) error {
	if cache.Blocks == 0 {
		cache.Blocks = cache.Items
	}
	var wrong string
	switch {
	case cache.Name == "":
		wrong = "a cache needs a name (name=)"
	case strings.ContainsAny(cache.Name, "@\x00"):
		wrong = fmt.Sprintf("%q is no name for a cache", cache.Name)
	case cache.Items == 0:
		wrong = "the largest number of items is needed (items=)"
	case cache.Items < 0 || cache.Items > math.MaxInt32/2:
		wrong = fmt.Sprintf("a cache cannot have %d items", cache.Items)
	case cache.Hash != "djb33x" && cache.Hash != "murmur2" && cache.Hash != "rand" && cache.Hash != "random":
		wrong = fmt.Sprintf("%q is no hash: there are djb33x, murmur2 and rand", cache.Hash)
	case cache.KeySize < 1 || cache.KeySize > math.MaxUint16:
		wrong = fmt.Sprintf("keys cannot have %d bytes", cache.KeySize)
	case cache.HashSize < 1 || cache.HashSize > math.MaxInt32/2:
		wrong = fmt.Sprintf("there cannot be %d hash chains", cache.HashSize)
	case cache.Blocks < cache.Items:
		wrong = fmt.Sprintf("%d blocks are fewer than %d items", cache.Blocks, cache.Items)
	case cache.BlockSize < 1 || cache.BlockSize > mostMemory/cache.Blocks:
		wrong = fmt.Sprintf("%d blocks of %d bytes are no memory", cache.Blocks, cache.BlockSize)
	case slices.ContainsFunc(c.Caches, func(other Cache) bool { return other.Name == cache.Name }):
		wrong = fmt.Sprintf("there is a cache %q already", cache.Name)
	default:
		c.Caches = append(c.Caches, cache)
		return nil
	}
	return fmt.Errorf("option %q: %s", option, wrong)
}

// setCacheItem reads [CACHE ]KEY=VALUE.
func setCacheItem(c *Config, g given) error {
	where, value, ok := strings.Cut(g.text, "=")
	item := cacheItem(where)
	if !ok || item.Key == "" || value == "" {
		return fmt.Errorf("option %q: %q is not [CACHE ]KEY=VALUE", g.name, g.text)
	}
	item.Value = value
	c.CacheItems = append(c.CacheItems, item)
	return nil
}

// cacheFile reads [CACHE ]FILE.
func cacheFile(gzip bool) effect {
	return List.by(func(c *Config, g given) error {
		item := cacheItem(g.text)
		if item.Key == "" {
			return fmt.Errorf("option %q needs a file", g.name)
		}
		item.File, item.Gzip = true, gzip
		c.CacheItems = append(c.CacheItems, item)
		return nil
	})
}

func cacheItem(text string) CacheItem {
	if cache, key, named := strings.Cut(text, " "); named {
		return CacheItem{Cache: cache, Key: key}
	}
	return CacheItem{Key: text}
}

// setPySharedArea reads a size. These areas have the numbers behind those of sharedarea.
func setPySharedArea(c *Config, g given) error {
	n, err := quantity(g)
	if err == nil && (n <= 0 || n > mostMemory) {
		err = fmt.Errorf("%s is not a size", g.text)
	}
	if err != nil {
		return fmt.Errorf("option %q: %w", g.name, err)
	}
	c.pyAreas = append(c.pyAreas, SharedArea{FD: -1, Size: n, Object: true})
	return nil
}

// setSharedArea reads PAGES, or KEY=VALUE,KEY=VALUE.
func setSharedArea(c *Config, g given) error {
	area := SharedArea{FD: -1}
	page := int64(os.Getpagesize())
	text := g.text
	if !strings.Contains(text, "=") {
		text = "pages=" + text
	}
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		n, err := int64(0), error(nil)
		if key != "file" {
			n, err = quantity(given{name: g.name, text: value})
		}
		switch {
		case err != nil:
		case key == "pages" && n > mostMemory/page, n < 0 || n > mostMemory:
			err = fmt.Errorf("%s is not a size", value)
		case key == "pages":
			area.Size = n * page
		case key == "size":
			area.Size = n
		case key == "offset":
			area.Offset = n
		case key == "file":
			area.File = value
		case key == "fd":
			area.FD = int(n)
		case key == "ptr":
			err = errors.New("is an address within uWSGI's own process: there is none here")
		default:
			err = errors.New("is not known")
		}
		if err != nil {
			return fmt.Errorf("option %q: %s: %w", g.name, key, err)
		}
	}
	switch {
	case area.Size == 0 && area.File == "" && area.FD < 0:
		return fmt.Errorf("option %q: a shared area needs a size, a file or a descriptor", g.name)
	case area.Offset%page != 0 && (area.File != "" || area.FD >= 0):
		return fmt.Errorf("option %q: the offset %d is not a multiple of a page, %d", g.name, area.Offset, page)
	case len(c.SharedAreas) == mostAreas:
		return fmt.Errorf("option %q: more than %d shared areas", g.name, mostAreas)
	}
	c.SharedAreas = append(c.SharedAreas, area)
	return nil
}

// mostAreas is how many the memory of locks has room for: see internal/shm.MaxAreas.
const mostAreas = 256

// finishSharing makes the cache of --cache, which comes before those of --cache2.
func (p *parser) finishSharing() error {
	c := p.cfg
	if c.SharedAreas = append(c.SharedAreas, c.pyAreas...); len(c.SharedAreas) > mostAreas {
		return fmt.Errorf("more than %d shared areas", mostAreas)
	}
	if c.cache.Items > 0 {
		others := c.Caches
		c.Caches = nil
		c.cache.LastModified = c.cacheLastModified
		if err := c.addCache("cache", c.cache); err != nil {
			return refuse(p.lastOf("cache").Origin, "%w", err)
		}
		for _, other := range others {
			if err := c.addCache("cache2", other); err != nil {
				return refuse(p.lastOf("cache2").Origin, "%w", err)
			}
		}
	}
	for i := range c.Caches {
		c.Caches[i].NoExpire = c.Caches[i].NoExpire || c.cacheNoExpire
	}
	for _, item := range c.CacheItems {
		known := slices.ContainsFunc(c.Caches, func(cache Cache) bool { return item.Cache == "" || item.Cache == cache.Name })
		if !known {
			option := "add-cache-item"
			if item.File {
				option = "load-file-in-cache"
			}
			p.note(Origin{}, "option %q: there is no cache %q for %s", option, item.Cache, item.Key)
		}
	}
	if c.Queue > 0 && (c.QueueBlockSize <= 16 || c.QueueBlockSize > mostMemory/int64(c.Queue)) {
		return p.refuseValue("queue", "%d blocks of %d bytes: the queue is too large or empty", c.Queue, c.QueueBlockSize)
	}
	return nil
}
