package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/internal/workerspec"
	"envoxyd/uwsgiopts"
)

// zygote is the deployment's python3 that has imported the application and forks
// workers on our word.
type zygote struct {
	pid     int
	process *os.Process
	control net.Conn // commands out, reports in
	workers net.Conn // reports of the workers
	ended   bool
}

// firstFD is the number that the first of a child's extra descriptors has.
const firstFD = 3

// startZygote starts the interpreter with everything it and its workers inherit.
func (g *generation) startZygote() (*zygote, error) {
	python, err := findPython(g.cfg)
	if err != nil {
		return nil, err
	}
	lib, err := libDir()
	if err != nil {
		return nil, err
	}
	var inherited inheritance
	defer inherited.close()
	spec, err := g.makeSpec(&inherited, lib)
	if err != nil {
		return nil, err
	}
	if spec.Service, err = g.m.loadService(g.cfg); err != nil {
		return nil, err
	}
	z := &zygote{control: inherited.control, workers: inherited.workers}
	document, err := specFile(spec)
	if err != nil {
		return nil, err
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
			return nil, fmt.Errorf("standard input of the application: %w", err)
		}
		inherited.files = append(inherited.files, stdin)
	}
	stdout, stderr, err := g.stdio()
	if err != nil {
		return nil, err
	}
	pid, _, err := syscall.StartProcess(python, argv, &syscall.ProcAttr{
		Dir:   g.m.appDir(g.cfg),
		Env:   g.environment(),
		Files: append([]uintptr{stdin.Fd(), stdout.Fd(), stderr.Fd(), document.Fd()}, inherited.fds...),
	})
	if err != nil {
		return nil, fmt.Errorf("unable to start %s: %w", python, err)
	}
	if z.process, err = os.FindProcess(pid); err != nil {
		return nil, fmt.Errorf("unable to find %s: %w", python, err)
	}
	z.pid = pid
	g.listenTo(z.control, "zygote")
	g.listenTo(z.workers, "workers")
	go func() { // ends with the process; a master that has finished does not wait for it
		state, err := z.process.Wait()
		g.m.post(func(*master) { g.zygoteEnded(state, err) })
	}()
	return z, nil
}

// inheritance collects the descriptors that a zygote gets, in order behind the specification.
type inheritance struct {
	fds     []uintptr
	files   []*os.File // closed here once the zygote has them
	control net.Conn
	workers net.Conn
}

func (i *inheritance) add(fd uintptr) int {
	i.fds = append(i.fds, fd)
	return firstFD + len(i.fds)
}

func (i *inheritance) close() {
	for _, file := range i.files {
		file.Close()
	}
}

// messagePair makes a socket pair that keeps messages apart.
func messagePair(name string) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: socketpair: %w", name, err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

// pair makes one whose second end is inherited.
func (i *inheritance) pair() (net.Conn, int, error) {
	ours, theirs, err := messagePair("reports")
	if err != nil {
		return nil, 0, err
	}
	defer ours.Close()
	i.files = append(i.files, theirs)
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, 0, fmt.Errorf("reports: %w", err)
	}
	return conn, i.add(theirs.Fd()), nil
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

// findPython chooses the interpreter: --home's, $VIRTUAL_ENV's, the one beside
// this executable, the one on PATH.
func findPython(cfg *uwsgiopts.Config) (string, error) {
	if cfg.Home != "" {
		home := absolute(cfg.StartDir, cfg.Home)
		if info, err := os.Stat(home); err != nil || !info.IsDir() {
			return "", fmt.Errorf("home/virtualenv %s: there is no such directory", cfg.Home)
		}
		if python := pythonIn(filepath.Join(home, "bin")); python != "" {
			return python, nil
		}
		return "", fmt.Errorf("home/virtualenv %s: there is no bin/python3 in it", cfg.Home)
	}
	if venv := os.Getenv("VIRTUAL_ENV"); venv != "" {
		if python := pythonIn(filepath.Join(venv, "bin")); python != "" {
			return python, nil
		}
	}
	if executable, err := os.Executable(); err == nil {
		if python := pythonIn(filepath.Dir(executable)); python != "" {
			return python, nil
		}
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("no Python found: give --virtualenv, or put python3 on PATH: %w", err)
	}
	return python, nil
}

func pythonIn(bin string) string {
	for _, name := range []string{"python3", "python"} {
		path := filepath.Join(bin, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// listenTo turns reports into events until the other side has closed.
func (g *generation) listenTo(conn net.Conn, who string) {
	go func() { // ends when the last holder of the other end is gone, or by close
		buffer := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.ECONNRESET) {
					logf("reports of the %s: %v", who, err)
				}
				return
			}
			var e workerspec.Event
			if err := json.Unmarshal(buffer[:n], &e); err != nil {
				logf("report of the %s: %v", who, err)
				continue
			}
			if e.Worker < 0 || e.Worker > len(g.workers) || e.Worker == 0 && (e.Kind == "forked" || e.Kind == "ready") {
				continue
			}
			g.m.post(func(*master) { g.report(e) })
		}
	}()
}

// fork has the zygote fork a worker; if the zygote is gone, its end says what follows.
func (z *zygote) fork(id int, again bool) {
	text, err := json.Marshal(workerspec.Command{Fork: id, Again: again})
	if err == nil && !z.ended {
		_, _ = z.control.Write(text)
	}
}

// dismiss lets the zygote go: it leaves when it sees the end of its commands.
func (z *zygote) dismiss() {
	_ = z.control.Close() // a second time makes no difference
	if !z.ended {
		_ = z.process.Signal(syscall.SIGTERM) // it may be busy importing
	}
}

func (z *zygote) kill() {
	_ = z.control.Close() // a second time makes no difference
	if !z.ended {
		_ = z.process.Kill() // it may have ended: zygoteEnded will hear of it
	}
}

func (z *zygote) close() {
	_ = z.control.Close() // a second time makes no difference
	_ = z.workers.Close()
}

// zygoteEnded notes the end of the zygote. Without one no worker can be replaced:
// another generation has to be made.
func (g *generation) zygoteEnded(state *os.ProcessState, err error) {
	g.zygote.ended = true
	switch {
	case g.draining:
		g.m.forgetGone()
	case !g.loaded:
		status := statusFailed
		if err == nil {
			status = max(state.ExitCode(), statusFailed)
		}
		if !g.explained {
			logf("the process that was loading the application (pid: %d) has ended: %v", g.zygote.pid, state)
		}
		g.m.generationFailed(g, status)
	default:
		logf("the zygote (pid: %d) has ended (%v): starting another one", g.zygote.pid, state)
		g.m.reload(false)
	}
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
	if _, err := os.Stat(filepath.Join(dir, "_envoxyd.abi3.so")); err != nil {
		return "", fmt.Errorf("envoxyd is not installed whole: %w", err)
	}
	return dir, nil
}
