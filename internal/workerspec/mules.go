package workerspec

// Mules are the processes for work in the background, and how messages reach them.
type Mules struct {
	List            []Mule `json:"list"`
	Shared          Pipe   `json:"shared"` // read by the first mule that has time
	Farms           []Farm `json:"farms"`
	HarakiriSeconds int    `json:"harakiri"` // for a message or signal; 0: none
	MercySeconds    int    `json:"mercy"`    // that a mule has to end in
	ReceiveSize     int    `json:"receive_size"`
}

// Mule is one of them.
type Mule struct {
	Runs  string `json:"runs"` // a file, or MODULE:FUNCTION; "": it waits for messages and signals
	Queue Pipe   `json:"queue"`
}

// Farm is mules that share a queue.
type Farm struct {
	Name  string `json:"name"`
	Mules []int  `json:"mules"`
	Queue Pipe   `json:"queue"`
}

// Pipe is a queue of messages: both ends are inherited, and never wait.
type Pipe struct {
	Out int `json:"out"`
	In  int `json:"in"`
}

// Signals are the queues of uwsgi signals, where they come out. Index 0 is read by the first process that has time,
// the others by the process with that number.
type Signals struct {
	Workers []int `json:"workers"`
	Mules   []int `json:"mules"`
	Farms   []int `json:"farms"` // in the order of Mules.Farms
	Spooler int   `json:"spooler"`
}

// SignalOrder is what a process asks of the master about signals.
type SignalOrder struct {
	Number     int    `json:"number"`
	Target     string `json:"target"`     // of EventRegisterSignal
	Millis     int64  `json:"ms"`         // of EventTimer
	Iterations int    `json:"iterations"` // of EventTimer; 0: without end
	When       [5]int `json:"when"`       // of EventCron: as --cron has it
	Path       string `json:"path"`       // of EventMonitor
}

// The kinds of events with a SignalOrder.
const (
	EventRaise          = "raise"
	EventRegisterSignal = "register signal"
	EventTimer          = "timer"
	EventCron           = "cron"
	EventMonitor        = "monitor"
)

// The roles of processes that a zygote forks.
const (
	RoleWorker  = "worker"
	RoleMule    = "mule"
	RoleSpooler = "spooler"
)
