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
		eventually(t, v.bell.Asleep)
		v.stir()
		if v.bell.Asleep() {
			t.Fatal("traffic did not wake it")
		}
	}
	eventually(t, v.bell.Asleep)
	cancel()
	running.Wait()
}
