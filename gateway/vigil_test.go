package gateway

import (
	"context"
	"sync"
	"testing"
)

func TestVigilRestsWithoutTraffic(t *testing.T) {
	v := newVigil()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { v.run(ctx) })
	for range 2 { // it can be woken again
		v.stir()
		if v.parked.Load() {
			t.Fatal("traffic did not wake it")
		}
		eventually(t, v.parked.Load)
	}
	cancel()
	running.Wait()
}
