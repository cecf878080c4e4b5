package process

// Beside is an empty place where successors of the process in p come up while that one works.
func (p *Place) Beside() Place {
	return Place{Kind: "the successor of " + p.Kind, Role: p.Role, ID: p.ID, beside: true}
}

// Succeed has the process that came up in the place beside p, and works, become the one in p;
// the one that was there goes beside, in the state that it is in. Where p is empty the
// successor comes at once, also one that is only on its way. false: neither is so.
func (p *Place) Succeed(beside *Place) bool {
	switch {
	case beside.Is(Ready) && p.Is(Ready, Leaving, Absent):
	case beside.Is(Ordered, Starting) && p.Is(Absent):
	default:
		return false
	}
	p.occupant, beside.occupant = beside.occupant, p.occupant
	if p.process != nil {
		p.starts++
	}
	return true
}
