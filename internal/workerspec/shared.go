package workerspec

// Shared is the memory of the `uwsgi` module that processes share. Its layout and sizes are
// the business of worker/shared.
type Shared struct {
	Caches      []SharedCache `json:"caches"`
	ExpireFreq  int           `json:"expire_freq"`  // seconds between looks at the same item
	ReportFreed bool          `json:"report_freed"` // log how many items have expired
	Items       []SharedItem  `json:"items"`        // for caches, put in before the application is imported

	Queue *SharedQueue `json:"queue,omitempty"` // nil: there is none
	Areas []SharedArea `json:"areas"`
}

// SharedCache is one cache.
type SharedCache struct {
	FD           int    `json:"fd"`
	Name         string `json:"name"`
	Items        int64  `json:"items"`
	Blocks       int64  `json:"blocks"`
	BlockSize    int64  `json:"block_size"`
	KeySize      int64  `json:"key_size"`
	HashSize     int64  `json:"hash_size"`
	Bitmap       bool   `json:"bitmap"`
	PurgeLRU     bool   `json:"purge_lru"`
	LazyExpire   bool   `json:"lazy_expire"`
	NoExpire     bool   `json:"no_expire"`
	IgnoreFull   bool   `json:"ignore_full"`
	ClearOnFull  bool   `json:"clear_on_full"`
	LastModified bool   `json:"last_modified"`
	MathInitial  int64  `json:"math_initial"`
}

// SharedItem is a value for a cache.
type SharedItem struct {
	Cache string `json:"cache"` // "": the first
	Key   string `json:"key"`
	Value string `json:"value"`
	File  string `json:"file"` // that has the value; "": it is Value
	Gzip  bool   `json:"gzip"` // compress it
}

// SharedQueue is the queue.
type SharedQueue struct {
	FD        int   `json:"fd"`
	Slots     int   `json:"slots"`
	BlockSize int64 `json:"block_size"`
}

// SharedArea is one shared area.
type SharedArea struct {
	FD     int   `json:"fd"`
	Offset int64 `json:"offset"`
	Size   int64 `json:"size"`
	Grows  bool  `json:"grows"` // the file is made as large
	Object bool  `json:"object"`
}
