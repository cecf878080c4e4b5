package gateway

import (
	"context"
	"sync"
	"testing"
)

func TestItSleepsWithoutTraffic(t *testing.T) {
	k := newKeepAwake()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.run(ctx) })
	for range 2 { // it can be woken again
		eventually(t, k.bell.Asleep)
		k.touch()
		if k.bell.Asleep() {
			t.Fatal("traffic did not wake it")
		}
	}
	eventually(t, k.bell.Asleep)
	cancel()
	running.Wait()
}
