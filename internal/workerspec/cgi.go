package workerspec

// CGI says which requests are answered by programs, one process each.
type CGI struct {
	Maps            []CGIMap    `json:"maps"`
	Helpers         []CGIHelper `json:"helpers"`
	DocumentRoot    bool        `json:"document_root"` // programs are looked for in the request's DOCUMENT_ROOT, too
	TimeoutSeconds  int         `json:"timeout"`       // without output; 0: none
	Index           []string    `json:"index"`         // programs for directories
	AllowedSuffixes []string    `json:"allowed_suffixes"`
	Unset           []string    `json:"unset"` // variables that programs do not get
	Safe            []string    `json:"safe"`  // directories that links may lead to; absolute
	KeepLinks       bool        `json:"keep_links"`
	LeaveRunning    bool        `json:"leave_running"` // nothing is killed
	Most            int         `json:"most"`          // programs at once in a worker
	Waiting         int         `json:"waiting"`       // requests that wait for one to end; others are turned away
}

// CGIMap is a path and the directory of its programs, or the program.
type CGIMap struct {
	Prefix string `json:"prefix"` // "": all paths
	Path   string `json:"path"`   // absolute
}

// CGIHelper runs the files with a suffix.
type CGIHelper struct {
	Suffix  string `json:"suffix"`
	Program string `json:"program"` // a path, or a name that is looked for in PATH
}
