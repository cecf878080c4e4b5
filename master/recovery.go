package master

import (
	"fmt"
	"time"

	"envoxyd/internal/respawn"
	"envoxyd/master/process"
)

// recoveryBackoff is how fast zygotes that end by themselves are replaced.
var recoveryBackoff = respawn.Policy{Healthy: 30 * time.Second, First: 250 * time.Millisecond, Max: 30 * time.Second}

// recovery replaces a zygote that has ended: another generation is loaded, again and again
// until one comes up. Workers that serve go on meanwhile; those that end are not replaced.
type recovery struct {
	backoff respawn.Backoff
	waiting bool // the next attempt is on its way
}

func newRecovery() recovery { return recovery{backoff: respawn.Backoff{Policy: recoveryBackoff}} }

// recoverZygote has another zygote started, after a wait that grows, for the one that the
// serving generation has lost; served: how long the last one, or attempt, has lasted.
func (m *master) recoverZygote(served time.Duration) {
	r := &m.reloads.recovery
	if r.waiting || m.life.stopping || m.life.upgraded {
		return
	}
	r.waiting = true
	wait := r.backoff.Ended(served)
	when := "at once"
	if wait > 0 {
		when = fmt.Sprintf("in %v", wait)
	}
	logf("no worker can be replaced without a zygote: another one is started %s", when)
	m.after(wait, func(m *master) {
		r.waiting = false
		if m.lostZygote() && m.next == nil && !m.reloads.preparing { // else that brings one, or fails and leads here
			m.reloadAll(false)
		}
	})
}

// lostZygote tells whether the serving generation has no zygote any more.
func (m *master) lostZygote() bool {
	return m.current != nil && m.current.zygote.State() == process.Lost
}
