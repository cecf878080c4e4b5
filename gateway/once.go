package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"envoxyd/gateway/election"
	"envoxyd/modules/postgres/pool"
)

// once calls the timers that one of all instances of a service calls: the one that a database elects. It stays through reloads.
type once struct {
	place   string // and all that the lock depends on
	elector *election.Elector

	mu    sync.Mutex
	fired map[string]time.Time // the last tick of each timer
}

// reconfigure returns what the registration needs: the same if nothing has changed, nil if no timer is for one instance.
func (o *once) reconfigure(g *Gateway, r *Registration) *once {
	if !slices.ContainsFunc(r.Timers, func(t Timer) bool { return t.Once }) {
		o.close()
		return nil
	}
	lock, place, err := g.conf.lock("envoxyd:timers:" + cmp.Or(r.Service, "envoxyd"))
	if o != nil && o.place == place && err == nil {
		lock.Close() // the one that there is stays
		return o
	}
	o.close()
	if err != nil {
		g.errorf("[TIMER] timers with once=True are not called: %v", err)
		return nil
	}
	return &once{place: place, fired: map[string]time.Time{}, elector: election.New(lock, func(problem bool, text string) {
		g.tell(problem, "[TIMER] once: %s", text)
	})}
}

func (o *once) close() {
	if o != nil {
		o.elector.Close()
	}
}

var errNoLock = errors.New("envoxy.json has no psql_servers and no redis_servers where instances could agree on who calls them")

// lock is where instances agree: where the configuration says, or else its first server of PostgreSQL, or of redis. place tells
// one from another. Nothing is connected to.
func (c *conf) lock(name string) (lock election.Lock, place string, err error) {
	section, key, _ := strings.Cut(c.Timers.Once, ".")
	postgres, redises := slices.Sorted(maps.Keys(c.PostgreSQL)), slices.Sorted(maps.Keys(c.Redis))
	switch section {
	case "":
	case "psql_servers":
		postgres, redises = []string{key}, nil
	case "redis_servers":
		postgres, redises = nil, []string{key}
	default:
		return nil, "", fmt.Errorf("envoxy.json: timers.once: %q is neither psql_servers.NAME nor redis_servers.NAME", c.Timers.Once)
	}
	for _, key := range postgres {
		text := c.PostgreSQL[key]
		config, problem := pool.ConnConfig(key, text)
		if problem == nil {
			return election.NewPostgres(config, name), fmt.Sprint("psql_servers.", key, string(text), name), nil
		}
		if c.Timers.Once != "" { // else it may be "default", which is a name
			err = fmt.Errorf("envoxy.json: timers.once: %w", problem)
		}
	}
	if len(redises) > 0 {
		key := redises[0]
		s, there := c.Redis[key]
		if !there {
			return nil, "", fmt.Errorf("envoxy.json: timers.once: redis_servers has no %q", key)
		}
		p, problem := s.redis()
		if problem != nil {
			return nil, "", fmt.Errorf("redis_servers.%s: %w", key, problem)
		}
		options := &redis.Options{Network: cmp.Or(p.Network, "tcp"), Addr: p.Address, Username: p.User, Password: p.Password, TLSConfig: p.TLS}
		return election.NewRedis(options, name), fmt.Sprint("redis_servers.", key, p.Network, p.Address, p.User, p.Password, p.TLS != nil, s.CertPath, name), nil
	}
	return nil, "", cmp.Or(err, errNoLock)
}

// untilHeard is the pause until the database's time is asked for once more, at the start.
const untilHeard = 100 * time.Millisecond

// run fires the ticks of a timer, by the database's time, in the instance that leads, until ctx ends.
func (o *once) run(ctx context.Context, g *Gateway, one *Timer, of tallies) {
	if o == nil {
		return
	}
	for ctx.Err() == nil {
		now, known := o.elector.Now()
		if !known {
			sleep(ctx, untilHeard)
			continue
		}
		next, err := one.tick(o.last(one.Name), now)
		if err != nil {
			g.errorf("[TIMER] %s: %v", one.Name, err)
			return
		}
		if !sleep(ctx, min(next.Sub(now), cronCheck)) {
			return
		}
		if now, _ := o.elector.Now(); now.Before(next) {
			continue
		}
		now, ok := o.elector.Confirm(next)
		if !ok && now.Before(next) && !now.IsZero() { // our idea of the database's time was ahead
			continue
		}
		o.passed(one.Name, next)
		if ok {
			one.fire(g, of)
		}
	}
}

// tick is the timer's first one after now and after last. Those of Every are multiples of it since 1970, the same everywhere.
func (one *Timer) tick(last, now time.Time) (time.Time, error) {
	if one.Cron != "" {
		return nextTick(one.Cron, last, now.Local().Round(0))
	}
	if last.After(now) {
		now = last
	}
	every := max(int64(math.Round(one.Every*1e9)), 1)
	return time.Unix(0, (now.UnixNano()/every+1)*every), nil
}

func (o *once) last(name string) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fired[name]
}

func (o *once) passed(name string, tick time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fired[name] = tick
}
