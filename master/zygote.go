package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
)

// link is how the master and the processes of one generation reach each other.
type link struct {
	orders  process.Orders   // to the zygote
	control *process.Channel // reports of the zygote; nil: none come
	workers *process.Channel // reports of the workers; nil: none come
}

func (l *link) close() {
	for _, channel := range []*process.Channel{l.control, l.workers} {
		if channel != nil {
			channel.Close()
		}
	}
}

// launch starts a generation's zygote.
type launch func(g *generation) (process.Process, *link, error)

// firstFD is the number that the first of a child's extra descriptors has.
const firstFD = 3

// startZygote starts the process that imports the application and forks workers.
func (g *generation) startZygote() error {
	child, l, err := g.m.launch(g)
	if err != nil {
		return err
	}
	g.link, g.zygote = l, process.NewZygote(child, l.orders)
	g.listen(l.workers, "worker", g.workerReport)
	said := g.listen(l.control, "zygote", g.zygoteReport)
	go func() { // ends with the process; a master that has finished does not wait for it
		exit, err := child.Wait()
		if l.control != nil { // what it has said comes before its end
			l.control.Finish()
			<-said
		}
		g.m.post(func(*master) { g.zygoteEnded(exit, err) })
	}()
	return nil
}

// listen turns reports into events until no more come; then it closes the returned channel.
func (g *generation) listen(from *process.Channel, who string, report func(process.Report)) <-chan struct{} {
	done := make(chan struct{})
	if from == nil {
		close(done)
		return done
	}
	go func() { // ends when the last holder of the other end is gone, or by link.close
		defer close(done)
		for {
			r, err := from.Receive()
			switch {
			case errors.Is(err, process.ErrMalformed):
				logf("%s: %v", who, err)
			case err != nil:
				return
			default:
				g.m.post(func(*master) { report(r) })
			}
		}
	}()
	return done
}

// zygoteReport acts on what the zygote has to say. Processes that the application forks
// have the way to say it, too; they are not heard.
func (g *generation) zygoteReport(r process.Report) {
	if r.Sender != g.zygote.Process().PID() {
		return
	}
	switch r.Kind {
	case "loaded":
		g.loaded()
	case "gateway":
		g.m.gateway.require()
	case "forked", "fork failed":
		g.forked(r)
	case "failed":
		g.explained = true
	}
}

// loaded goes on with the start, once the application has been imported.
func (g *generation) loaded() {
	if !g.zygote.Loaded() {
		return
	}
	g.loadTime = g.m.now().Sub(g.began)
	start := func(m *master) { m.hooked(g.cfg, g.hooks, []string{"post-app", "master-start"}, g.forkAll) }
	if g.m.current == nil {
		g.m.gateway.prepare(g.number, start)
	} else {
		start(g.m)
	}
}

// forked is the zygote's answer to an order.
func (g *generation) forked(r process.Report) {
	if r.Worker < 1 || r.Worker > len(g.workers) {
		return
	}
	w := g.workers[r.Worker-1]
	if number, inHand := w.OrderInHand(); !inHand || number != r.ID { // the worker itself was heard first, or the order was given up
		return
	}
	reason := r.Text
	if r.Kind == "forked" {
		err := g.adopt(w, r.PID)
		if err == nil {
			return
		}
		reason = err.Error()
	}
	logf("the zygote could not fork worker %d: %s", w.ID, reason)
	if w.OrderFailed(r.ID) {
		g.forkFailed(w)
	}
}

// zygoteEnded notes the end of the zygote. Without one no worker can be replaced: another
// generation has to be made.
func (g *generation) zygoteEnded(exit process.Exit, err error) {
	m := g.m
	was := g.zygote.Ended()
	for _, w := range g.workers {
		if number, inHand := w.OrderInHand(); inHand {
			w.OrderFailed(number)
		}
	}
	pid := g.zygote.Process().PID()
	switch {
	case err != nil:
		logf("zygote: %v", err)
	case was != process.Dismissed && !g.explained:
		logf("the zygote (pid: %d) has ended: %v", pid, exit)
	}
	switch {
	case g.draining:
		m.forgetGone()
	case g == m.current:
		m.recover(m.now().Sub(g.began) - g.loadTime)
	default:
		status := max(exit.Status, statusFailed)
		if was == process.Loading && g.explained {
			status = exit.Status
		}
		m.generationFailed(g, status)
	}
}

// interpreter starts the deployment's python3 with everything that it and its workers inherit.
func interpreter(g *generation) (process.Process, *link, error) {
	python, err := findPython(g.cfg)
	if err != nil {
		return nil, nil, err
	}
	lib, err := libDir()
	if err != nil {
		return nil, nil, err
	}
	var inherited inheritance
	defer inherited.close()
	spec, err := g.makeSpec(&inherited, lib)
	if err != nil {
		return nil, nil, err
	}
	document, err := specFile(spec)
	if err != nil {
		return nil, nil, err
	}
	defer document.Close()
	argv := []string{python}
	if g.cfg.Optimize > 0 {
		argv = append(argv, "-"+strings.Repeat("O", min(g.cfg.Optimize, 2)))
	}
	argv = append(argv, filepath.Join(lib, "python", "main.py"), fmt.Sprint(firstFD))
	stdin := os.Stdin
	if !g.cfg.HonourStdin {
		if stdin, err = os.Open(os.DevNull); err != nil {
			return nil, nil, fmt.Errorf("standard input of the application: %w", err)
		}
		inherited.files = append(inherited.files, stdin)
	}
	stdout, stderr, err := g.stdio()
	if err != nil {
		return nil, nil, err
	}
	pid, _, err := syscall.StartProcess(python, argv, &syscall.ProcAttr{
		Dir:   appDir(g.hooks, g.cfg),
		Env:   g.environment(),
		Files: append([]uintptr{stdin.Fd(), stdout.Fd(), stderr.Fd(), document.Fd()}, inherited.fds...),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("unable to start %s: %w", python, err)
	}
	child, err := process.Linux{}.Adopt(pid)
	if err != nil {
		return nil, nil, fmt.Errorf("unable to find %s: %w", python, err)
	}
	return child, inherited.keepLink(), nil
}

// inheritance collects the descriptors that a zygote gets, in order behind the specification.
type inheritance struct {
	fds   []uintptr
	files []*os.File // closed here once the zygote has them
	link  *link      // closed here too, unless it is kept
}

func (i *inheritance) add(fd uintptr) int {
	i.fds = append(i.fds, fd)
	return firstFD + len(i.fds)
}

func (i *inheritance) close() {
	for _, file := range i.files {
		file.Close()
	}
	if i.link != nil {
		i.link.close()
	}
}

// keepLink has close leave the link alone.
func (i *inheritance) keepLink() *link {
	kept := i.link
	i.link = nil
	return kept
}

// messagePair makes a socket pair that keeps messages apart.
func messagePair(name string) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: socketpair: %w", name, err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

// connect makes the link, and returns the numbers of the ends that zygote and workers have.
func (i *inheritance) connect() (control, workers int, err error) {
	i.link = &link{}
	for _, end := range []struct {
		ours   **process.Channel
		number *int
	}{{&i.link.control, &control}, {&i.link.workers, &workers}} {
		ours, theirs, err := process.NewChannel()
		if err != nil {
			return 0, 0, err
		}
		*end.ours = ours
		i.files = append(i.files, theirs)
		*end.number = i.add(theirs.Fd())
	}
	i.link.orders = i.link.control
	return control, workers, nil
}

// handover makes the pair on which connections change cores: where they come out and where
// they go in.
func (i *inheritance) handover() (numbers [2]int, out, in *os.File, err error) {
	if out, in, err = messagePair("handover"); err != nil {
		return [2]int{-1, -1}, nil, nil, err
	}
	i.files = append(i.files, out, in)
	return [2]int{i.add(out.Fd()), i.add(in.Fd())}, out, in, nil
}

func specFile(spec *workerspec.Spec) (*os.File, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("worker specification: %w", err)
	}
	return memoryFile("envoxyd-spec", text)
}

// memoryFile holds a text for a process to read from the start.
func memoryFile(name string, text []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err = file.Write(text); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return file, nil
}

// environment is ours, less what is between masters, plus what uWSGI adds.
func (g *generation) environment() []string {
	drop := map[string]bool{daemonVariable: true, readyVariable: true, "LISTEN_FDS": true, "LISTEN_PID": true, "LISTEN_FDNAMES": true}
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !drop[name] && !strings.HasPrefix(name, "TABLEFLIP_") {
			env = append(env, pair)
		}
	}
	env = append(env, fmt.Sprintf("UWSGI_RELOADS=%d", g.number), "UWSGI_ORIGINAL_PROC_NAME="+os.Args[0])
	return g.cfg.Environ(env)
}

// libDir is the folder lib/envoxyd that belongs to this executable.
func libDir() (string, error) {
	executable, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("where is this executable: %w", err)
	}
	if resolved, err := filepath.EvalSymlinks(executable); err == nil {
		executable = resolved
	}
	dir := filepath.Join(filepath.Dir(filepath.Dir(executable)), "lib", "envoxyd")
	for _, name := range []string{"_envoxyd.abi3.so", "_envoxyd_zygote.abi3.so"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("envoxyd is not installed whole: %w", err)
		}
	}
	return dir, nil
}
