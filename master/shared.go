package master

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/paths"
	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/master/resources"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

// sharedMemory is what a generation has of the memory that processes share.
type sharedMemory struct {
	keys   map[string]bool // of the resources
	caches []sharedCache
	synced []syncedStore
}

type sharedCache struct {
	uwsgiopts.Cache
	file *os.File
}

// syncedStore is a file that is written at intervals, whether the system would or not.
type syncedStore struct {
	file  *os.File
	every time.Duration
	last  time.Time
}

// share makes the memory that the configuration wants, or takes what there is, and has a zygote inherit it.
// Without stores nothing is on disk.
func share(cfg *uwsgiopts.Config, r *resources.Resources, i *inheritance, stores bool) (*workerspec.Shared, *sharedMemory, error) {
	memory := &sharedMemory{keys: map[string]bool{}}
	get := func(m resources.Memory) (*os.File, error) {
		if m.Store != "" && stores {
			m.Store = paths.In(workDir(cfg), m.Store)
			_, geometry, _ := strings.Cut(m.Key, "\n")
			m.Key = "store\n" + geometry + "\n" + m.Store
		} else {
			m.Store = ""
		}
		memory.keys[m.Key] = true
		return r.Get(m, logf)
	}
	spec := &workerspec.Shared{ExpireFreq: cfg.CacheExpireFreq, ReportFreed: cfg.CacheReportFreed}
	for _, c := range cfg.Caches {
		file, err := get(resources.Memory{
			Key:   fmt.Sprintf("cache-%s\n%d,%d,%d,%d,%d,%t", c.Name, c.Items, c.Blocks, c.BlockSize, c.KeySize, c.HashSize, c.Bitmap),
			Store: c.Store, Replace: c.StoreDelete, Fits: func(fd int) bool { return holdsCache(fd, c) },
		})
		if err != nil {
			return nil, nil, fmt.Errorf("cache %q: %w", c.Name, err)
		}
		memory.caches = append(memory.caches, sharedCache{c, file})
		memory.sync(file, c.StoreSync)
		spec.Caches = append(spec.Caches, workerspec.SharedCache{
			FD: i.add(file.Fd()), Name: c.Name, Items: c.Items, Blocks: c.Blocks, BlockSize: c.BlockSize, KeySize: c.KeySize, HashSize: c.HashSize,
			Bitmap: c.Bitmap, PurgeLRU: c.PurgeLRU, LazyExpire: c.LazyExpire, NoExpire: c.NoExpire, IgnoreFull: c.IgnoreFull,
			ClearOnFull: c.ClearOnFull, LastModified: c.LastModified, MathInitial: c.MathInitial,
		})
	}
	if cfg.Queue > 0 {
		file, err := get(resources.Memory{
			Key: fmt.Sprintf("queue\n%d,%d", cfg.Queue, cfg.QueueBlockSize), Store: cfg.QueueStore,
			Fits: func(fd int) bool { return holdsQueue(fd, cfg) },
		})
		if err != nil {
			return nil, nil, fmt.Errorf("queue: %w", err)
		}
		memory.sync(file, cfg.QueueSync)
		spec.Queue = &workerspec.SharedQueue{FD: i.add(file.Fd()), Slots: cfg.Queue, BlockSize: cfg.QueueBlockSize}
	}
	for number, area := range cfg.SharedAreas {
		one, err := shareArea(cfg, number, area, get, i)
		if err != nil {
			return nil, nil, fmt.Errorf("sharedarea %d: %w", number, err)
		}
		one.Object = area.Object
		spec.Areas = append(spec.Areas, one)
	}
	for _, item := range cfg.CacheItems {
		one := workerspec.SharedItem{Cache: item.Cache, Key: item.Key, Value: item.Value, Gzip: item.Gzip}
		if item.File {
			if one.File = item.Key; !filepath.IsAbs(one.File) {
				one.File = filepath.Join(workDir(cfg), one.File)
			}
			if err := unix.Access(one.File, unix.R_OK); err != nil {
				return nil, nil, fmt.Errorf("load-file-in-cache: %s: %w", one.File, err)
			}
		}
		spec.Items = append(spec.Items, one)
	}
	return spec, memory, nil
}

func (memory *sharedMemory) sync(file *os.File, every time.Duration) {
	if every > 0 {
		memory.synced = append(memory.synced, syncedStore{file: file, every: every, last: time.Now()})
	}
}

// shareArea has a zygote inherit an area: memory, a file, or a descriptor that was passed on to the master.
func shareArea(cfg *uwsgiopts.Config, number int, area uwsgiopts.SharedArea, get func(resources.Memory) (*os.File, error),
	i *inheritance) (workerspec.SharedArea, error) {
	one := workerspec.SharedArea{Size: area.Size, Offset: area.Offset}
	var fd int
	switch {
	case area.FD >= 0:
		fd = area.FD
	case area.File != "":
		file, err := os.OpenFile(paths.In(workDir(cfg), area.File), os.O_RDWR, 0)
		if err != nil {
			return one, err
		}
		i.files = append(i.files, file) // processes map it
		fd = int(file.Fd())
	default:
		file, err := get(resources.Memory{Key: fmt.Sprintf("area-%d\n%d", number, area.Size)})
		if err != nil {
			return one, err
		}
		fd, one.Grows, one.Offset = int(file.Fd()), true, 0
	}
	var is unix.Stat_t
	if err := unix.Fstat(fd, &is); err != nil {
		return one, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	if !one.Grows && one.Size == 0 {
		one.Size = is.Size - one.Offset
	}
	if !one.Grows && (one.Size <= 0 || one.Offset+one.Size > is.Size) {
		return one, fmt.Errorf("the file has %d bytes, which are not %d from %d on", is.Size, one.Size, one.Offset)
	}
	one.FD = i.add(uintptr(fd))
	return one, nil
}

// holdsCache tells whether a store is one of ours for such a cache.
func holdsCache(fd int, c uwsgiopts.Cache) bool {
	head, err := shm.ReadCacheHead(fd)
	bitmap := int64(0)
	if c.Bitmap {
		bitmap = 1
	}
	return err == nil && head.Magic.Load() == shm.CacheMagic &&
		[6]int64{int64(head.Items.Load()), int64(head.Blocks.Load()), int64(head.BlockSize.Load()), int64(head.KeySize.Load()),
			int64(head.HashSize.Load()), int64(head.Bitmap.Load())} == [6]int64{c.Items, c.Blocks, c.BlockSize, c.KeySize, c.HashSize, bitmap}
}

func holdsQueue(fd int, cfg *uwsgiopts.Config) bool {
	head, err := shm.ReadQueueHead(fd)
	return err == nil && head.Magic.Load() == shm.QueueMagic && int(head.Slots.Load()) == cfg.Queue && int64(head.BlockSize.Load()) == cfg.QueueBlockSize
}

// cacheFile is the memory of a cache; nil: there is none of that name. The first one needs no name.
func (memory *sharedMemory) cacheFile(name string) *os.File {
	for _, c := range memory.caches {
		if name == "" || c.Name == name {
			return c.file
		}
	}
	return nil
}

// useShared lets go of the memory that the serving generation does not have.
func (m *master) useShared(g *generation) {
	if g.shared != nil {
		if err := m.owned.resources.Keep(g.shared.keys); err != nil {
			logf("%v", err)
		}
	}
}

// syncStores writes the stores that are due.
func (m *master) syncStores(now time.Time) {
	m.owned.resources.Claim()
	if m.current == nil || m.current.shared == nil {
		return
	}
	for i := range m.current.shared.synced {
		store := &m.current.shared.synced[i]
		if now.Sub(store.last) < store.every {
			continue
		}
		store.last = now
		fd := dupCloexec(int(store.file.Fd())) // a reload may close it meanwhile
		if fd < 0 {
			continue
		}
		m.beside(func() event {
			err := errors.Join(unix.Fdatasync(fd), unix.Close(fd))
			return func(*master) {
				if err != nil {
					logf("store: %v", err)
				}
			}
		})
	}
}

// statistics adds the locks and caches to a snapshot.
func (memory *sharedMemory) statistics(s *stats.Snapshot) {
	for _, c := range memory.caches {
		one := stats.Cache{Name: c.Name, Hash: c.Hash, HashSize: c.HashSize, KeySize: c.KeySize, MaxItems: c.Items, Blocks: c.Blocks, BlockSize: c.BlockSize}
		lock := stats.Lock{Name: "cache_" + c.Name}
		if head, err := shm.ReadCacheHead(int(c.file.Fd())); err == nil {
			one.Items, one.Hits, one.Misses, one.Full = head.Count.Load(), head.Hits(), head.Misses(), head.Full.Load()
			one.LastModified = int64(head.LastModified.Load())
			lock.Holder = head.Lock.HeldBy()
		}
		s.Caches = append(s.Caches, one)
		s.Locks = append(s.Locks, lock)
	}
}

// userLocks tells which of uwsgi.lock()'s locks are held: lock 0 and those that --locks adds.
func userLocks(file *os.File, added int) (all []stats.Lock) {
	for number := range added + 1 {
		all = append(all, stats.Lock{Name: fmt.Sprintf("user %d", number), Holder: shm.LockHolder(int(file.Fd()), number)})
	}
	return all
}
