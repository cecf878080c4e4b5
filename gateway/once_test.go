package gateway

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestTicksAreTheSameEverywhereAndNeverTheLastOne(t *testing.T) {
	at := time.Unix(1_800_000_000, 123_456_789)
	for _, every := range []float64{0.1, 0.3, 1, 7, 60, 86400} {
		one := &Timer{Every: every}
		tick, err := one.tick(time.Time{}, at)
		if err != nil || !tick.After(at) || tick.Sub(at) > time.Duration(every*1e9) {
			t.Errorf("every %v: %v, %v", every, tick, err)
		}
		for range 1000 { // at the very instant, and when the clock is read as a little before
			for _, now := range []time.Time{tick, tick.Add(-5 * time.Millisecond)} {
				next, _ := one.tick(tick, now)
				if gap := next.Sub(tick).Round(time.Microsecond); gap != time.Duration(every*1e9) {
					t.Fatalf("every %v: %v after %v", every, gap, tick)
				}
			}
			tick, _ = one.tick(tick, tick)
		}
	}
}

func TestWhereInstancesAgree(t *testing.T) {
	server := json.RawMessage(`{"host": "db.example", "db": "shop", "user": "u", "passwd": "p"}`)
	postgres := map[string]json.RawMessage{"main": server, "default": json.RawMessage(`"main"`)}
	redises := map[string]storeConf{"one": {Bind: "cache.example:6379"}}
	for _, c := range []struct {
		once     string
		postgres map[string]json.RawMessage
		redis    map[string]storeConf
		place    string
		err      string
	}{
		{"", postgres, redises, "psql_servers.main", ""},
		{"", nil, redises, "redis_servers.one", ""},
		{"redis_servers.one", postgres, redises, "redis_servers.one", ""},
		{"psql_servers.main", postgres, redises, "psql_servers.main", ""},
		{"", nil, nil, "", "has no psql_servers and no redis_servers"},
		{"psql_servers.other", postgres, redises, "", "timers.once"},
		{"redis_servers.other", postgres, redises, "", `redis_servers has no "other"`},
		{"cache", postgres, redises, "", "neither psql_servers.NAME nor redis_servers.NAME"},
	} {
		conf := &conf{PostgreSQL: c.postgres, Redis: c.redis}
		conf.Timers.Once = c.once
		lock, place, err := conf.lock("test")
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "example") {
				t.Errorf("%q: %v, want %q", c.once, err, c.err)
			}
		case err != nil || !strings.HasPrefix(place, c.place):
			t.Errorf("%q: %q, %v", c.once, place, err)
		default:
			lock.Close()
		}
	}
}
