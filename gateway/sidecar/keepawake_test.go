package sidecar

import (
	"context"
	"sync"
	"testing"
)

func TestItSleepsWithoutTraffic(t *testing.T) {
	k := NewKeepAwake()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.Run(ctx) })
	for range 2 { // it can be woken again
		eventually(t, k.bell.Asleep)
		k.Touch()
		if k.bell.Asleep() {
			t.Fatal("traffic did not wake it")
		}
	}
	eventually(t, k.bell.Asleep)
	cancel()
	running.Wait()
}
