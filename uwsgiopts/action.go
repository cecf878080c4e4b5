package uwsgiopts

// Action is what the command line asked for instead of serving.
type Action struct {
	Kind    ActionKind
	Status  int      // exit status, for ActionExit
	Option  string   // stop, reload, pause, suspend, resume or upgrade, for ActionSignal
	Pidfile string   // for ActionSignal, relative to Config.StartDir
	Words   []string // for ActionService and ActionInit: what follows the command
}

// ActionKind distinguishes actions.
type ActionKind uint8

// Kinds of actions.
const (
	ActionExit    ActionKind = iota // all output has been written; leave with Status
	ActionSignal                    // signal the process whose pid is in Pidfile, then leave
	ActionService                   // print envoxy.json as services see it
	ActionInit                      // write a configuration for the application in the working directory
)

// String returns a word for messages.
func (k ActionKind) String() string {
	return [...]string{"an exit", "a signal", "a configuration to print", "a configuration to write"}[k]
}

// leave ends the start with an exit status.
func leave(status int) error {
	return &endError{Action{Kind: ActionExit, Status: status}}
}
