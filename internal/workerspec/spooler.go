package workerspec

// Spooler is a directory of jobs. spool() writes into it, and its processes run what they find there.
type Spooler struct {
	Dir       string `json:"dir"`       // absolute, without symbolic links
	Processes int    `json:"processes"` // 0: another instance works on it
	External  bool   `json:"external"`
	WakeFD    int    `json:"wake_fd"` // an eventfd that wakes its processes; -1: none
}

// Spooling is how all directories of jobs are worked on.
type Spooling struct {
	Ordered          bool     `json:"ordered"`
	FrequencySeconds int      `json:"frequency"`
	MaxTasks         int      `json:"max_tasks"` // of a process; 0: no limit
	HarakiriSeconds  int      `json:"harakiri"`  // of a job; 0: no limit
	Quiet            bool     `json:"quiet"`
	Chdir            string   `json:"chdir"` // absolute; "": the directory of the jobs
	Imports          []string `json:"imports"`
	SignalAsTask     bool     `json:"signal_as_task"`
}
