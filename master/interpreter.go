package master

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/internal/socketpair"
	"envoxyd/internal/workerspec"
	"envoxyd/master/process"
	"envoxyd/uwsgiopts"
)

// firstFD is the number that the first of a child's extra descriptors has.
const firstFD = 3

// arguments are the words that start the interpreter.
func arguments(cfg *uwsgiopts.Config, python, lib string) []string {
	argv := []string{python}
	if cfg.Optimize > 0 {
		argv = append(argv, "-"+strings.Repeat("O", min(cfg.Optimize, 2)))
	}
	if cfg.NoSite {
		argv = append(argv, "-S")
	}
	return append(argv, filepath.Join(lib, "python", "main.py"), fmt.Sprint(firstFD))
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
	argv := arguments(g.cfg, python, lib)
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
		Env:   zygoteEnvironment(g.cfg, g.number),
		Files: append([]uintptr{stdin.Fd(), stdout.Fd(), stderr.Fd(), document.Fd()}, inherited.fds...),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("unable to start %s: %w", python, err)
	}
	child, err := process.Linux{}.Adopt(pid)
	if err != nil {
		return nil, nil, fmt.Errorf("unable to find %s: %w", python, err)
	}
	g.m.logs.know(pid, "zygote", 0)
	l := inherited.keepLink()
	l.forks = process.Import{Args: argv[1:], Variable: reloadsVariable(g.number)}
	return child, l, nil
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
	fds, err := socketpair.Messages()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
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

// zygoteEnvironment is ours, less what is between masters, plus what uWSGI adds.
func zygoteEnvironment(cfg *uwsgiopts.Config, generation int) []string {
	drop := map[string]bool{daemonVariable: true, readyVariable: true, "LISTEN_FDS": true, "LISTEN_PID": true, "LISTEN_FDNAMES": true}
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !drop[name] && !strings.HasPrefix(name, "TABLEFLIP_") {
			env = append(env, pair)
		}
	}
	env = append(env, reloadsVariable(generation), "UWSGI_ORIGINAL_PROC_NAME="+os.Args[0])
	return cfg.Environ(env)
}

// reloadsVariable is uWSGI's, and tells the processes of one generation from those of others.
func reloadsVariable(generation int) string { return fmt.Sprintf("UWSGI_RELOADS=%d", generation) }

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
	for _, name := range []string{"_envoxyd.abi3.so", "_envoxyd_zygote.abi3.so", "_envoxyd_shared.abi3.so"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("the installation of envoxyd is incomplete: %w", err)
		}
	}
	return dir, nil
}
