package master

import (
	"maps"

	"envoxyd/internal/workerspec"
)

// gateways are all that an Envoxy service may have.
type gateways []*gateway

func newGateways(m *master) gateways {
	return gateways{newGateway(m, &eventGateway), newGateway(m, &zmqGateway)}
}

// inherit passes on what workers need to reach them.
func (all gateways) inherit(i *inheritance) (*workerspec.Gateway, error) {
	spec := &workerspec.Gateway{}
	for _, g := range all {
		if err := g.share(); err != nil {
			return nil, err
		}
		if g.events {
			spec.CallsFD, spec.HealthFD, spec.ProgressFD = i.add(g.callers.Fd()), i.add(g.note.Fd()), i.add(g.progress.Fd())
		} else {
			spec.ZMQCallsFD = i.add(g.callers.Fd())
		}
	}
	return spec, nil
}

// require starts the one that a report of this kind is about.
func (all gateways) require(report string) {
	for _, g := range all {
		if g.report == report {
			g.require()
		}
	}
}

// prepare has all of them prepare, and then goes on.
func (all gateways) prepare(generation int, then func(*master)) {
	all.join(then, func(g *gateway, done func(*master)) { g.prepare(generation, done) })
}

// quiesce has all of them finish what is here, and then goes on.
func (all gateways) quiesce(then func(*master)) {
	all.join(then, func(g *gateway, done func(*master)) { g.quiesce(done) })
}

// join begins something with each and goes on when all are done.
func (all gateways) join(then func(*master), begin func(g *gateway, done func(*master))) {
	left := len(all)
	for _, g := range all {
		begin(g, func(m *master) {
			if left--; left == 0 {
				then(m)
			}
		})
	}
}

// hurry goes on with what waits for the messages that are here.
func (all gateways) hurry() {
	for _, g := range all {
		g.proceed(&g.quiet)
	}
}

func (all gateways) activate(current *generation) {
	for _, g := range all {
		g.activate(current)
	}
}

func (all gateways) stop() {
	for _, g := range all {
		g.stop()
	}
}

// gone: there is no process.
func (all gateways) gone() bool {
	for _, g := range all {
		if !g.gone() {
			return false
		}
	}
	return true
}

func (all gateways) handedOver() map[string]int {
	passed := map[string]int{}
	for _, g := range all {
		maps.Copy(passed, g.handedOver())
	}
	return passed
}
