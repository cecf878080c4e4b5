package gateway

import (
	"bufio"
	"context"
	"sync"
	"time"

	"github.com/adhocore/gronx"

	"envoxyd/gateway/sidecar"
	"envoxyd/internal/gatewayspec"
)

// timers call functions of the service at set times: each call goes to one worker,
// whichever is idle, however many there are.
type timers struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	once   *once // nil: no timer has Once
}

// reconfigure ends the timers of the generation before and starts this one's.
func (t *timers) reconfigure(g *Gateway, r *Registration) {
	t.pause()
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.quiet.Load() {
		return
	}
	ctx, cancel := context.WithCancel(g.ctx)
	t.cancel = cancel
	t.once = t.once.reconfigure(g, r)
	once := t.once
	for _, one := range r.Timers {
		if one.Cron != "" && !gronx.IsValid(one.Cron) {
			g.errorf("[TIMER] %s: %q is no cron expression", one.Name, one.Cron)
			continue
		}
		of := tallies{g.counting.under(gatewayspec.TallyTimer + one.Name)} // it is there before the first call
		if one.Once {
			g.running.Go(func() { once.run(ctx, g, &one, of) })
		} else {
			g.running.Go(func() { one.run(ctx, g, of) })
		}
	}
}

// pause lets no timer fire any more; a worker finishes its current call.
func (t *timers) pause() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancel != nil {
		t.cancel()
	}
}

// stop is pause, and lets another instance call the timers that one calls.
func (t *timers) stop() {
	t.pause()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.once.close()
	t.once = nil
}

// run fires until ctx ends. A call that takes longer than the interval makes the next one late,
// never a second one at the same time.
func (one *Timer) run(ctx context.Context, g *Gateway, of tallies) {
	if one.Cron != "" {
		one.runCron(ctx, g, of)
		return
	}
	next := time.Now()
	for {
		if next = next.Add(time.Duration(one.Every * float64(time.Second))); next.Before(time.Now()) {
			next = time.Now()
		}
		if !sleep(ctx, time.Until(next)) {
			return
		}
		one.fire(g, of)
	}
}

// cronCheck is how often a wait for a tick is compared with the time of day, which may be set meanwhile.
const cronCheck = time.Minute

func (one *Timer) runCron(ctx context.Context, g *Gateway, of tallies) {
	var last time.Time
	for {
		next, err := nextTick(one.Cron, last, timeOfDay())
		if err != nil {
			g.errorf("[TIMER] %s: %v", one.Name, err)
			return
		}
		if !sleep(ctx, min(next.Sub(timeOfDay()), cronCheck)) {
			return
		}
		if !timeOfDay().Before(next) {
			last = next
			one.fire(g, of)
		}
	}
}

// nextTick is the first tick after now. Ticks up to last, which has fired, do not fire again
// when the time of day was set back, unless it was by more than they are apart.
func nextTick(expression string, last, now time.Time) (time.Time, error) {
	if last.After(now) {
		next, err := gronx.NextTickAfter(expression, last, false)
		if err != nil || next.Sub(last) > last.Sub(now) {
			return next, err
		}
	}
	return gronx.NextTickAfter(expression, now, false)
}

// timeOfDay is now without the reading of the monotonic clock, which the time being set does not move.
func timeOfDay() time.Time { return time.Now().Round(0) }

// sleep waits; false: ctx ended before.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// fire has one worker call the function. The call outlives a reload: its worker finishes it.
func (one *Timer) fire(g *Gateway, of tallies) {
	vars := sidecar.AppendVars(nil, [][2]string{
		{"REQUEST_METHOD", "EVENT"}, {"REQUEST_URI", one.Name}, {"PATH_INFO", one.Name}, {"SERVER_PROTOCOL", "TIMER/1.0"},
		{"REMOTE_ADDR", "timer"}, {"CONTENT_LENGTH", "0"}, {gatewayspec.VarKind, "timer"},
	}...)
	g.counting.count(gatewayspec.CountReceived, of)
	counter := gatewayspec.CountFailed
	err := g.Workers.Deliver(g.ctx, gatewayspec.EndsWithMarks, vars, nil, func(r *bufio.Reader) error {
		if err := sidecar.SkipHead(r); err != nil {
			return err
		}
		mark, err := r.ReadByte()
		if err != nil {
			return sidecar.ErrWorkerLost
		}
		if mark != gatewayspec.Failed {
			counter = gatewayspec.CountHandled
		}
		return nil
	})
	if err != nil && g.ctx.Err() == nil {
		g.errorf("[TIMER] %s: %v", one.Name, err)
	}
	g.counting.count(counter, of)
}
