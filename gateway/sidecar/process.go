// Package sidecar is what the processes beside the master have in common, envoxyd-gateway and
// envoxyd-zmq: the master's orders, requests to workers, calls of workers, the log.
package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/scmrights"
	"envoxyd/internal/startspec"
)

// Process is one of them.
type Process struct {
	Spec    gatewayspec.Spec
	Ctx     context.Context // until the process ends
	Running sync.WaitGroup  // of all goroutines
	Workers *Workers
	Log     *Logger

	name   string
	cancel context.CancelFunc
	free   chan struct{} // closed when the process of the previous executable has gone
}

// Orders are what a process does of its own at the master's orders, one after the other.
type Orders interface {
	// Prepare connects before the first workers exist; it has Prepared told.
	Prepare(generation int)
	// Activate follows the configuration of a generation whose workers get the requests already.
	Activate(order gatewayspec.Order)
	// Quiesce takes nothing more, and has Quiet told when all that is here is done.
	Quiesce(order gatewayspec.Order)
	// Stop leaves in good order; Serve returns then. With a successor what peers keep for us is left for it.
	Stop(successor bool)
}

// New makes the process of this name.
func New(name string, spec gatewayspec.Spec) *Process {
	// The master says what is to be done.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTSTP)
	p := &Process{Spec: spec, Log: newLogger(name), name: name, free: make(chan struct{})}
	p.Ctx, p.cancel = context.WithCancel(context.Background())
	p.Workers = newWorkers(&p.Running)
	return p
}

// Start waits beside what follows for the predecessor's end.
func (p *Process) Start() { p.Running.Go(p.awaitPredecessor) }

// Serve carries out the master's orders until one is to stop, or the master is gone.
func (p *Process) Serve(o Orders) error {
	if err := unix.SetNonblock(p.Spec.ControlFD, true); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	file := os.NewFile(uintptr(p.Spec.ControlFD), "control")
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	for {
		order, fd, err := receiveOrder(raw)
		if errors.Is(err, io.EOF) {
			o.Stop(false)
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: orders: %w", p.name, err)
		}
		switch order.Kind {
		case gatewayspec.Prepare:
			o.Prepare(order.Generation)
		case gatewayspec.Activate:
			if fd < 0 {
				p.Errorf("generation %d came without a socket", order.Generation)
				continue
			}
			p.Workers.activate(fd, order.Cores)
			o.Activate(order)
		case gatewayspec.Quiesce:
			o.Quiesce(order)
		case gatewayspec.Stop:
			o.Stop(order.Successor)
			return nil
		}
	}
}

// End ends what Start and others have begun, and waits for it.
func (p *Process) End() {
	p.cancel()
	p.Workers.wake()
	p.Running.Wait()
}

// Tell tells the master.
func (p *Process) Tell(kind string, generation int) {
	text, err := json.Marshal(gatewayspec.Event{Kind: kind, Generation: generation})
	if err == nil {
		_ = unix.Sendmsg(p.Spec.ControlFD, text, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) // EPIPE: the master has ended
	}
}

// awaitPredecessor lets connections be made once the process of the previous executable has
// left: two clients of one name would throw each other out, an address can be bound once.
func (p *Process) awaitPredecessor() {
	defer close(p.free)
	if p.Spec.PredecessorFD < 0 {
		return
	}
	if err := unix.SetNonblock(p.Spec.PredecessorFD, true); err != nil {
		p.Errorf("%v", err)
		return
	}
	pipe := os.NewFile(uintptr(p.Spec.PredecessorFD), "predecessor")
	defer pipe.Close()
	stop := context.AfterFunc(p.Ctx, func() { pipe.Close() })
	defer stop()
	var b [1]byte
	for {
		if n, err := pipe.Read(b[:]); n == 0 && err != nil {
			return
		}
	}
}

// Free is closed when the process of the previous executable has gone.
func (p *Process) Free() <-chan struct{} { return p.free }

// PredecessorGone tells whether Free is closed.
func (p *Process) PredecessorGone() bool {
	select {
	case <-p.free:
		return true
	default:
		return false
	}
}

// Logf writes what is worth knowing.
func (p *Process) Logf(format string, args ...any) { p.Log.Write(LevelInfo, format, args...) }

// Errorf writes what needs attention.
func (p *Process) Errorf(format string, args ...any) { p.Log.Write(LevelError, format, args...) }

func receiveOrder(raw syscall.RawConn) (order gatewayspec.Order, fd int, err error) {
	text := make([]byte, 4096)
	n, fd, err := receive(raw, text)
	if err != nil {
		return order, -1, err
	}
	return order, fd, json.Unmarshal(text[:n], &order)
}

// receive waits for a message: its length in text, and the descriptor that came with it, -1
// without one. io.EOF when the other side has gone.
func receive(raw syscall.RawConn, text []byte) (n, fd int, err error) {
	var control [scmrights.Room]byte
	var size int
	readErr := raw.Read(func(socket uintptr) bool {
		n, size, _, _, err = unix.Recvmsg(int(socket), text, control[:], unix.MSG_CMSG_CLOEXEC)
		return !errors.Is(err, unix.EAGAIN)
	})
	if err = errors.Join(readErr, err); err != nil {
		return 0, -1, err
	}
	if n == 0 && size == 0 {
		return 0, -1, io.EOF
	}
	fd, err = scmrights.Descriptor(control[:size])
	if errors.Is(err, scmrights.ErrNone) {
		err = nil
	}
	return n, fd, err
}

// Main is the main function of such a program: its only argument is the descriptor of its specification.
func Main(name string, run func(gatewayspec.Spec) error) {
	if err := readSpec(name, run); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func readSpec(name string, run func(gatewayspec.Spec) error) error {
	var spec gatewayspec.Spec
	if err := startspec.Read(name, &spec); err != nil {
		return err
	}
	// Such a process passes bytes on: on a small machine a second thread costs more in wake-ups than it
	// brings, so one does the work, and one stays awake (keepawake.go).
	if os.Getenv("GOMAXPROCS") == "" && runtime.NumCPU() <= 4 {
		runtime.GOMAXPROCS(2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // what lives is small: a few megabytes more save a good part of the work
	}
	return run(spec)
}
