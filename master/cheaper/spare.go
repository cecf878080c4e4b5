package cheaper

// spare keeps one worker idle: it adds when all have been busy for a while, and
// takes away, slowly, when more than one is idle.
type spare struct {
	settings Settings
	overload int // seconds of all being busy, less those of it being otherwise
	idling   int // seconds with more than one idle
}

// Poll answers as Policy wants.
func (p *spare) Poll(s *Situation) (int, string) {
	if s.count(Busy) == s.active() {
		p.overload++
		p.idling = 0
	} else {
		p.overload = max(p.overload-1, 0)
	}
	switch {
	case p.overload >= p.settings.Overload:
		p.overload = 0
		return p.settings.Step, ""
	case p.overload > 0:
		return 0, ""
	case s.count(Idle) <= 1:
		p.idling = 0
		return 0, ""
	}
	// One second more the first time: those that were just added get a chance.
	if p.idling++; p.idling > 1 && (p.idling-1)%p.settings.Overload == 0 {
		return -1, ""
	}
	return 0, ""
}

// spare2 keeps as many workers idle as --cheaper says.
type spare2 struct {
	settings Settings
	idling   int // seconds with more idle ones than wanted
}

// Poll answers as Policy wants.
func (p *spare2) Poll(s *Situation) (int, string) {
	free, wanted := s.count(Idle, Starting), p.settings.Least
	switch {
	case free < wanted:
		p.idling = 0
		return min(p.settings.Step, wanted-free), ""
	case free == wanted:
		p.idling = 0
		return 0, ""
	}
	if p.idling++; p.idling < p.settings.Idle {
		return 0, ""
	}
	p.idling = 0
	return -1, ""
}

// backlog goes by the connections that wait.
type backlog struct{ settings Settings }

// Poll answers as Policy wants.
func (p backlog) Poll(s *Situation) (int, string) {
	switch {
	case s.Queue > p.settings.Overload:
		return p.settings.Step, ""
	case s.Queue < p.settings.Overload:
		return -1, ""
	}
	return 0, ""
}

// manual leaves the number to the fifo's + and -.
type manual struct{}

// Poll answers as Policy wants.
func (manual) Poll(*Situation) (int, string) { return 0, "" }
