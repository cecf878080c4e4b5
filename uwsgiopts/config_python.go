package uwsgiopts

import (
	"fmt"
	"path/filepath"
	"strings"
)

// PythonConfig is what becomes of the interpreter and of applications beside those that are named plainly.
type PythonConfig struct {
	NoSite         bool     // the interpreter does not import the module site
	EarlyPath      []string // before Pythonpath
	ModuleAliases  []string // ALIAS=MODULE, before the application is imported
	PostAliases    []string // likewise, after it
	SysExecutable  string
	Pecan          string // configuration of a Pecan application
	WorkerMounts   []string
	VHostHost      bool // the Host header names the host, not SERVER_NAME
	DynamicApps    bool // requests may name the application that is to answer them
	MaxApps        int  // that requests have named, in a worker
	ThreadStack    int  // kilobytes; 0: the system's choice
	AutoreloadSkip []string
	Tracebacker    string // beginning of the sockets' names
	WorkerExec     string // a program that runs as each worker
	WorkerExecLate bool   // after the worker's hooks

	ReloadOnExceptionTypes  []string
	ReloadOnExceptionValues []string
	ReloadOnExceptionReprs  []string

	Script     string // runs in place of serving
	TestModule string // is imported in place of serving

	StartResponseNoDelay bool
	IgnoreScriptName     bool
	HarakiriNoAfter      bool // the time of after_req_hook does not count
	WriteTolerance       int64
}

const defaultMaxApps = 64

func pythonDefaults() PythonConfig { return PythonConfig{MaxApps: defaultMaxApps} }

// alias reads ALIAS=MODULE.
func alias(field func(c *Config) *[]string) effect {
	return List.by(func(c *Config, g given) error {
		name, module, _ := strings.Cut(g.text, "=")
		if name == "" || module == "" {
			return fmt.Errorf("option %q: %q is not ALIAS=MODULE", g.name, g.text)
		}
		*field(c) = append(*field(c), g.text)
		return nil
	})
}

func workerExec(late bool) effect {
	return Text.by(func(c *Config, g given) error {
		c.WorkerExec, c.WorkerExecLate = g.text, late
		return nil
	})
}

// runIniPaste reads an ini file that describes a Paste application too.
func runIniPaste(p *parser, e *entry) error {
	if err := p.loadNamed("ini", e.Value, e.Origin); err != nil {
		return err
	}
	file, _ := p.splitSection(e.Value)
	if !filepath.IsAbs(file) {
		file = p.path(file)
	}
	p.cfg.Paste = "config:" + file
	p.cfg.PasteLogger = p.cfg.PasteLogger || e.Name == "ini-paste-logged"
	return nil
}
