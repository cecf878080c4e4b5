package uwsgiopts

// Action is what the command line asked for instead of serving.
type Action struct {
	Kind    ActionKind
	Status  int    // exit status, for ActionExit
	Option  string // stop, reload, pause, suspend, resume or upgrade, for ActionSignal
	Pidfile string // for ActionSignal, relative to Config.StartDir
}

// ActionKind distinguishes actions.
type ActionKind uint8

// Kinds of actions.
const (
	ActionExit   ActionKind = iota // all output has been written; leave with Status
	ActionSignal                   // signal the process whose pid is in Pidfile, then leave
)

// String returns a word for messages.
func (k ActionKind) String() string {
	return [...]string{"an exit", "a signal"}[k]
}

// leave ends the start with an exit status.
func leave(status int) error {
	return &endError{Action{Kind: ActionExit, Status: status}}
}
