package emperor

import (
	"slices"
	"time"

	"envoxyd/internal/emperorlink"
	"envoxyd/internal/respawn"
)

// scan compares what is there with what runs.
func (e *Emperor) scan() {
	if e.ending || !e.started {
		return
	}
	e.watchSources()
	for _, s := range e.sources {
		s.look(e)
	}
	e.notifyChange()
}

// found compares what is in a place with what runs of it. kept are those that are neither to change nor to end.
func (e *Emperor) found(s source, there []Instance, kept []string) {
	if e.ending {
		return
	}
	seen := map[string]bool{}
	for _, path := range kept {
		seen[path] = true
	}
	for _, one := range there {
		if v := e.vassals[one.Path]; seen[one.Path] || v != nil && v.source != s { // the place that has found it first has it
			continue
		}
		seen[one.Path] = true
		e.see(s, one)
	}
	for _, path := range slices.Clone(e.order) {
		if v := e.vassals[path]; v.source == s && !seen[path] && !v.removed {
			e.log("[emperor] stop the uwsgi instance %s", v.ID)
			v.removed = true
			e.curse(v)
		}
	}
	e.notifyChange()
}

// notifyChange tells systemd, if the number of instances has changed.
func (e *Emperor) notifyChange() {
	if len(e.vassals) != e.governed {
		e.notify()
	}
}

// reloadAll looks at all configurations, and reloads the instances that are there already.
func (e *Emperor) reloadAll() {
	if e.ending || !e.started {
		return
	}
	e.log("*** the emperor reloads all vassals ***")
	e.scan()
	for _, path := range e.order {
		if v := e.vassals[path]; !v.removed {
			e.reload(v)
		}
	}
}

// see acts on a configuration that is there.
func (e *Emperor) see(s source, one Instance) {
	v := e.vassals[one.Path]
	switch {
	case v == nil:
		v = &vassal{Instance: one, source: s, attrs: attributes(&one, e.wanted()), born: time.Now()}
		v.backoff.Policy = respawn.Policy{Healthy: 10 * time.Second, First: e.cfg.EmperorThrottle, Max: e.cfg.EmperorMaxThrottle}
		e.vassals[one.Path] = v
		e.order = append(e.order, one.Path)
		e.launch(v)
	case v.removed: // it has come back before its process has ended
		v.closeListener(e.cfg)
		v.removed, v.Instance, v.attrs = false, one, attributes(&one, e.wanted())
	case e.cfg.EmperorTyrant && (v.UID != one.UID || v.GID != one.GID):
		e.log("[emperor-tyrant] the owner of vassal %s has changed: it is started again as the new one", v.ID)
		v.closeListener(e.cfg)
		v.Instance = one
		e.restart(v)
	case !v.Changed.Equal(one.Changed):
		otherwise := v.Socket != one.Socket || v.Runs != one.Runs // it is started in another way
		v.Instance = one
		if otherwise {
			e.restart(v)
		} else {
			e.reload(v)
		}
	}
}

// reload has an instance read its configuration again, or starts one that has failed.
func (e *Emperor) reload(v *vassal) {
	v.attrs = attributes(&v.Instance, e.wanted())
	e.log("[emperor] reload the uwsgi instance %s", v.ID)
	v.backoff.Reset() // it may have been repaired
	switch {
	case v.cmd == nil && !v.waiting && !v.preparing:
		e.launch(v)
	case v.cmd != nil && v.cursed.IsZero():
		v.say(emperorlink.Reload)
	}
}

// restart ends an instance's process, and starts another one.
func (e *Emperor) restart(v *vassal) {
	v.attrs = attributes(&v.Instance, e.wanted())
	v.backoff.Reset()
	v.closeListener(e.cfg)
	v.waiting = false
	switch {
	case v.cmd != nil:
		e.tellToEnd(v)
	case !v.preparing:
		e.launch(v)
	}
}

// wanted are the attributes that anybody asks for.
func (e *Emperor) wanted() (all []string) {
	for _, name := range append(slices.Clone(e.cfg.EmperorAttributes), e.cfg.WrapperAttribute, e.cfg.ChdirAttribute) {
		if name != "" {
			all = append(all, name)
		}
	}
	return all
}
