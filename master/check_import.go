package master

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/master/privileges"
	"envoxyd/master/process"
	"envoxyd/master/resources"
	"envoxyd/uwsgiopts"
)

// application imports what is to be served, in a zygote that leaves afterwards.
func (c *checker) application(document []byte) {
	var python string
	c.asMaster(func() { // who starts it
		var notices []string
		var err error
		python, notices, err = choosePython(c.cfg)
		for _, notice := range notices {
			c.note(uwsgiopts.Origin{}, "%s", notice)
		}
		if err != nil {
			c.wrong(c.cfg.OriginOf("virtualenv", ""), "%v", err)
		}
	})
	if python == "" {
		return
	}
	if err := c.load(python, document); err != nil {
		c.wrong(uwsgiopts.Origin{}, "%v", err)
	}
}

// load starts the zygote and takes its reports. An error is one of ours, not the application's.
func (c *checker) load(python string, document []byte) error {
	lib, err := libDir()
	if err != nil {
		return err
	}
	cfg := c.importConfig()
	spec, err := baseSpec(cfg, 0, time.Now(), lib)
	if err != nil {
		return err
	}
	shared, err := resources.Open(func(string) int { return -1 })
	if err != nil {
		return err
	}
	defer shared.Close()
	alive, keep, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	defer alive.Close()
	defer keep.Close()
	board, err := shm.NewBoard(cfg.Processes, cfg.Cores())
	if err != nil {
		return err
	}
	defer board.Close()
	var inherited inheritance
	defer inherited.close()
	if err := inherited.addMemory(spec, shared, alive, board); err != nil {
		return err
	}
	if spec.Shared, _, err = share(cfg, shared, &inherited, false); err != nil {
		return err
	}
	reports := inherited.keepLink()
	defer reports.close()
	if isService(cfg) { // it may say what it wants to hear of, and nobody listens
		spec.Gateway = &workerspec.Gateway{CallsFD: -1, HealthFD: -1, ProgressFD: -1}
	}
	spec.Check, spec.Service, spec.Sockets = true, document, []workerspec.Socket{}
	file, err := specFile(spec)
	if err != nil {
		return err
	}
	defer file.Close()
	zygote, err := c.start(python, lib, zygoteEnvironment(cfg, 0), append([]uintptr{0, 2, 2, file.Fd()}, inherited.fds...))
	if err != nil {
		return err
	}
	inherited.close() // the zygote alone holds the other end now: its end ends the reports
	return c.listen(reports.control, zygote)
}

// importConfig is the configuration for a process that imports and will never serve.
func (c *checker) importConfig() *uwsgiopts.Config {
	cfg := *c.cfg
	cfg.StaticConfig = uwsgiopts.StaticConfig{} // looked at already
	cfg.MasterAsRoot = false                    // the zygote itself becomes the user
	cfg.NeedApp = cfg.NeedApp && (inheritsSockets() || !cfg.OnlySupervises())
	cfg.Processes = min(max(cfg.Processes, 1), 10_000)
	cfg.Threads = min(max(cfg.Threads, 1), 10_000)
	return &cfg
}

// start runs the zygote as the user that workers would be, and so that it dies with us:
// it ignores the signals that end a check.
func (c *checker) start(python, lib string, env []string, files []uintptr) (*os.Process, error) {
	runtime.LockOSThread() // until the process ends: the kernel looks at the thread that started the child
	attributes := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if attributes.Credential, err = privileges.Of(c.cfg).Credential(); err != nil {
		return nil, err
	}
	argv := arguments(c.cfg, python, lib)
	pid, _, err := syscall.StartProcess(python, argv, &syscall.ProcAttr{
		Dir: workDir(c.cfg), Env: append(env, "PYTHONDONTWRITEBYTECODE=1"), Files: files, Sys: attributes,
	})
	if err != nil {
		return nil, fmt.Errorf("unable to start %s: %w", python, err)
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, fmt.Errorf("unable to find %s: %w", python, err)
	}
	return process, nil
}

// listen takes the zygote's reports until it is gone.
func (c *checker) listen(reports *process.Channel, zygote *os.Process) error {
	finished := false
	status := statusNoApp
	var problems []workerspec.Event
	for {
		e, err := reports.Receive()
		if errors.Is(err, process.ErrMalformed) {
			return fmt.Errorf("report of the process that imports: %w", err)
		}
		if err != nil {
			break // nobody holds the other end any more
		}
		switch e.Kind {
		case "problem":
			if e.Option == "" { // what concerns no option is that there is no application
				e.Option, e.Text = "need-app", c.missingApp()
			}
			problems = append(problems, e.Event)
		case "note":
			c.note(uwsgiopts.Origin{}, "%s", e.Text)
		case "checked":
			finished, status = true, e.Status
		}
	}
	state, err := zygote.Wait()
	if err != nil {
		return fmt.Errorf("the process that imports: %w", err)
	}
	if !finished {
		problems = append(problems, workerspec.Event{Text: fmt.Sprintf("the process that was loading the application has ended: %v", state)})
	}
	for _, e := range problems {
		where := uwsgiopts.Origin{}
		if e.Option != "" {
			where = c.cfg.OriginOf(e.Option, e.Value)
		}
		c.add(status, where, "%s", e.Text)
	}
	return nil
}

// missingApp says that there is no application, and why that matters if the configuration says so itself.
func (c *checker) missingApp() string {
	if c.cfg.OriginOf("need-app", "").Source != "" {
		return "no application is named, and need-app wants one"
	}
	return "no application is named: name one by --module, --wsgi-file, --mount or --set conf=/path/envoxy.json"
}
