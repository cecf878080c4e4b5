package master

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"envoxyd/internal/httpget"
	"envoxyd/modules"
)

// watchdog keeps systemd's watchdog quiet while the service answers its health check.
type watchdog struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// missesAllowed is how many failed checks in a row are still reported as well.
const missesAllowed = 3

// newWatchdog starts a watchdog if the service's configuration asks for one.
func newWatchdog(service *modules.Service) *watchdog {
	w := &watchdog{cancel: func() {}}
	if service == nil || service.KeepAlive <= 0 || os.Getenv("NOTIFY_SOCKET") == "" {
		return w
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.done.Go(func() { w.run(ctx, max(service.KeepAlive-time.Second, time.Second), service.HealthURL()) })
	return w
}

func (w *watchdog) run(ctx context.Context, interval time.Duration, url string) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for misses := 0; misses <= missesAllowed; {
		if _, err := daemon.SdNotify(false, "WATCHDOG=1"); err != nil {
			logf("systemd could not be notified: %v", err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if healthy(ctx, url, interval) {
			misses = 0
		} else {
			misses++
		}
	}
	logf("the service has not answered %s for %d checks: systemd's watchdog is left to act", url, missesAllowed+1)
}

func healthy(ctx context.Context, url string, limit time.Duration) bool {
	if url == "" {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	reply, err := httpget.Get(ctx, httpget.Request{URL: url})
	return err == nil && reply.Status == 200
}

// stop ends the watchdog and waits for it; nil has none.
func (w *watchdog) stop() {
	if w != nil {
		w.cancel()
		w.done.Wait()
	}
}
