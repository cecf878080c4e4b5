package uwsgiopts

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestCaches(t *testing.T) {
	cfg, _, err := parseIn(t, nil, nil,
		"--cache2", "name=one,items=10", "--cache2", "name=two,max_items=4,blocks=8,blocksize=1k,keysize=64,hashsize=7,hash=murmur2,bitmap=1,store=s,"+
			"store_sync=5,store_delete=1,lastmod=1,lru=1,ignore_full=1,lazy_expire=1,no_expire=0,clear_on_full=1,sweep_on_full=1,math_initial=-3",
		"--cache", "20", "--cache-blocksize", "100", "--cache-store", "d", "--cache-store-sync", "7", "--cache-use-last-modified",
		"--cache-expire-freq", "9", "--cache-report-freed-items")
	if err != nil {
		t.Fatal(err)
	}
	legacy, one, two := newCache("default"), newCache("one"), newCache("two")
	legacy.Items, legacy.Blocks, legacy.BlockSize, legacy.Store, legacy.StoreSync, legacy.LastModified = 20, 20, 100, "d", 7*time.Second, true
	one.Items, one.Blocks = 10, 10
	two.Items, two.Blocks, two.BlockSize, two.KeySize, two.HashSize, two.Hash = 4, 8, 1024, 64, 7, "murmur2"
	two.Bitmap, two.Store, two.StoreSync, two.StoreDelete, two.LastModified, two.PurgeLRU = true, "s", 5*time.Second, true, true, true
	two.IgnoreFull, two.LazyExpire, two.ClearOnFull, two.MathInitial = true, true, true, -3
	if want := []Cache{legacy, one, two}; !reflect.DeepEqual(cfg.Caches, want) {
		t.Errorf("got  %+v\nwant %+v", cfg.Caches, want)
	}
	if cfg.CacheExpireFreq != 9 || !cfg.CacheReportFreed {
		t.Errorf("%d, %v", cfg.CacheExpireFreq, cfg.CacheReportFreed)
	}
}

func TestCacheItems(t *testing.T) {
	cfg, _, err := parseIn(t, nil, nil, "--cache2", "name=c,items=10", "--add-cache-item", "a=b=c", "--add-cache-item", "c k=v",
		"--load-file-in-cache", "c x y", "--load-file-in-cache-gzip", "z", "--add-cache-item", "d k=v")
	if err != nil {
		t.Fatal(err)
	}
	want := []CacheItem{{"", "a", "b=c", false, false}, {"c", "k", "v", false, false}, {"", "z", "", true, true}, {"c", "x y", "", true, false}, {"d", "k", "v", false, false}}
	if len(cfg.CacheItems) != len(want) {
		t.Fatalf("%+v", cfg.CacheItems)
	}
	for _, item := range want {
		found := false
		for _, have := range cfg.CacheItems {
			found = found || have == item
		}
		if !found {
			t.Errorf("%+v is not among %+v", item, cfg.CacheItems)
		}
	}
	if text := strings.Join(cfg.Notices, "\n"); !strings.Contains(text, `there is no cache "d" for k`) {
		t.Errorf("notices: %s", text)
	}
}

func TestQueueAndAreas(t *testing.T) {
	cfg, _, err := parseIn(t, nil, nil, "--queue", "8", "--queue-blocksize", "100", "--queue-store", "q", "--queue-store-sync", "2",
		"--sharedarea", "2", "-A", "size=0x100", "--sharedarea", "file=f,offset=8192,size=10", "--sharedarea", "fd=5")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Queue != 8 || cfg.QueueBlockSize != 100 || cfg.QueueStore != "q" || cfg.QueueSync != 2*time.Second {
		t.Errorf("%+v", cfg.SharingConfig)
	}
	want := []SharedArea{{Size: 2 * int64(os.Getpagesize()), FD: -1}, {Size: 256, FD: -1}, {File: "f", Offset: 8192, Size: 10, FD: -1}, {FD: 5}}
	if !reflect.DeepEqual(cfg.SharedAreas, want) {
		t.Errorf("%+v", cfg.SharedAreas)
	}
}

func TestSharedMemoryThatMeansNothing(t *testing.T) {
	for _, args := range [][]string{
		{"--cache2", "items=10"}, {"--cache2", "name=x"}, {"--cache2", "x"}, {"--cache2", "name=x,items=many"}, {"--cache2", "name=x,items=10,foo=1"},
		{"--cache2", "name=x,items=10,hash=foo"}, {"--cache2", "name=x,items=10,keysize=0"}, {"--cache2", "name=x,items=10,blocks=9"},
		{"--cache2", "name=x,items=10,blocksize=-1"}, {"--cache2", "name=x@y,items=10"}, {"--cache2", "name=x,items=99999999999"},
		{"--cache2", "name=x,items=1000000,blocksize=1000g"}, {"--cache2", "name"},
		{"--add-cache-item", "k"}, {"--load-file-in-cache", ""}, {"--queue", "8", "--queue-blocksize", "16"},
		{"--sharedarea", "0"}, {"--sharedarea", "some"}, {"--sharedarea", "foo=1"}, {"--sharedarea", "ptr=5"}, {"--sharedarea", "file=x,offset=5"},
		{"--sharedarea", "99999999999999999"},
	} {
		_, _, err := parseIn(t, nil, nil, args...)
		if err == nil || !strings.Contains(err.Error(), args[0][2:]) {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, _, err := parseIn(t, nil, nil, "--cache2", "name=x,items=1", "--cache2", "name=x,items=1"); err == nil {
		t.Error("two caches with one name")
	}
}
