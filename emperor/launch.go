package emperor

import "time"

// launch starts an instance, or what waits for its first connection.
func (e *Emperor) launch(v *vassal) {
	if v.Socket != "" && v.listener == nil {
		if err := v.listen(e.cfg); err != nil {
			e.log("%v", err)
			v.retry = time.Now().Add(v.backoff.Ended(0) + time.Second)
			return
		}
	}
	if v.Socket != "" && !v.waiting {
		e.log("[emperor] %s -> \"on demand\" instance detected, waiting for connections on socket \"%s\" ...", v.ID, v.Socket)
		v.waiting = true
		e.await(v)
		return
	}
	e.start(v)
}

// start starts an instance's process, once the hooks before that have run.
func (e *Emperor) start(v *vassal) {
	v.preparing = true
	e.runHooks(phaseBeforeVassal, v.variables(0), func(err error) {
		v.preparing = false
		switch {
		case e.vassals[v.Path] != v || e.ending: // it has gone meanwhile
		case err != nil:
			e.log("[emperor] vassal %s: %v", v.ID, err)
			v.retry = time.Now().Add(max(v.backoff.Ended(0), e.cfg.EmperorThrottle))
		default:
			e.spawn(v)
		}
	})
}

func (e *Emperor) spawn(v *vassal) {
	if err := v.start(e.cfg, e.self, time.Now()); err != nil {
		e.complain("%v", err)
		v.retry = time.Now().Add(max(v.backoff.Ended(0), e.cfg.EmperorThrottle))
		return
	}
	e.hook(v, v.pid(), e.cfg.VassalStart)
	e.give(v)
	e.runHooks(phaseVassal, v.variables(v.pid()), func(err error) {
		if err != nil {
			e.log("[emperor] vassal %s: %v", v.ID, err)
		}
	})
	cmd, link := v.cmd, v.link
	e.running.Go(func() { // ends with the process, or with what it has the other end of
		var word [1]byte
		for {
			if _, err := link.Read(word[:]); err != nil {
				return
			}
			said := word[0]
			e.post(func(e *Emperor) { e.heard(v, cmd, said) })
		}
	})
	go func() { // ends with the process; an emperor that has finished does not wait for it
		err := cmd.Wait()
		e.post(func(e *Emperor) { e.exited(v, cmd, err) })
	}()
}
