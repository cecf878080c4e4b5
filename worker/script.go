package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"envoxyd/protocol/uwsgi"
	"envoxyd/worker/cgi"
)

// scripts are the CGI programs of a worker.
type scripts struct {
	w        *Worker
	server   *cgi.Server
	software string
	room     chan struct{} // holds one for each program that runs
	inHand   atomic.Int64  // requests, those that wait for room included
	most     int64         // of them; others are turned away
}

// newScripts returns nil where no option asks for programs.
func newScripts(w *Worker) *scripts {
	options := w.spec.CGI
	if options == nil {
		return nil
	}
	// Go would have programs ignore SIGPIPE, as the worker does; a signal that is taken is theirs to die of.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return &scripts{
		w: w, server: cgi.New(*options), software: "envoxyd/" + w.spec.Version,
		room: make(chan struct{}, options.Most), most: int64(options.Most + options.Waiting),
	}
}

// wants tells whether a program is to answer the request.
func (c *scripts) wants(p *parsed) bool { return c != nil && p.Modifier1 == uwsgi.ModifierCGI }

// script is a program that answers a request.
type script struct {
	c       *scripts
	process *cgi.Process
	started atomic.Pointer[cgi.Process] // process, for other goroutines
	cut     bool                        // the program's end was not waited for
}

// runScript has a program answer the request. The reactor's lock is held.
func (s *slot) runScript(cn *conn, p *parsed) {
	c := s.w.scripts
	s.leave(cn, p, &script{c: c}, errandLimits{
		idle:     time.Duration(s.w.spec.CGI.TimeoutSeconds) * time.Second,
		idleText: "CGI timeout !!! (cgi-timeout)",
		endText:  "HARAKIRI ON A CGI PROGRAM (harakiri)",
		headTxt:  "a CGI program has not begun to answer (http-timeout)",
	})
}

// respond implements answerer.
func (one *script) respond(e *errand) error {
	c := one.c
	inHand := c.inHand.Add(1)
	defer c.inHand.Add(-1)
	if inHand > c.most {
		c.w.logLimited(&c.w.limits.scripts, "more than %d requests for CGI programs at once: others are turned away", c.most)
		return errCrowd
	}
	if err := one.start(e); err != nil {
		return err
	}
	err := one.pass(e)
	if err != nil {
		one.cut = !ended(err)
		if one.cut && !c.w.spec.CGI.LeaveRunning {
			one.process.Kill()
		}
	}
	return err
}

// ended tells whether the program has ended its output by itself.
func ended(err error) bool {
	var head *cgi.HeadError
	return errors.As(err, &head) && head.Early
}

// end implements answerer: it waits for the program.
func (one *script) end(e *errand) {
	if one.process == nil {
		return
	}
	c := one.c
	defer func() { <-c.room }()
	one.process.Close()
	if c.w.spec.CGI.LeaveRunning {
		return // the process's own goroutine waits for it
	}
	if err := one.process.Wait(e.deadline()); err != nil && !one.cut {
		c.w.logf("CGI: %s: %v", e.uri(), err)
	}
}

// pass sends the client what the program says.
func (one *script) pass(e *errand) error {
	read := func(room []byte) (int, error) {
		return e.read(func(until time.Time) (int, error) {
			if err := one.process.SetReadDeadline(until); err != nil {
				return 0, err
			}
			return one.process.Read(room)
		})
	}
	room := make([]byte, errandPiece)
	var said []byte
	for {
		n, err := read(room)
		said = append(said, room[:n]...)
		if errors.Is(err, io.EOF) {
			return &cgi.HeadError{Reason: "it ended before its head did", Early: true}
		}
		if err != nil {
			return err
		}
		head, err := cgi.ParseHead(said)
		if err != nil {
			return err
		}
		if head != nil {
			return e.pass(scriptHead(head), said[head.Started:], read)
		}
	}
}

func scriptHead(h *cgi.Head) *errandHead {
	var fields []byte
	for _, f := range h.Fields {
		fields = fmt.Appendf(fields, "%s: %s\r\n", f.Name, f.Value)
	}
	return &errandHead{code: h.Code, status: h.Status, fields: fields, length: h.Length, coded: h.Coded, ends: h.Ends}
}

// start finds the program and starts it as soon as there is room.
func (one *script) start(e *errand) error {
	c := one.c
	pathInfo, docroot := "", ""
	for rest := e.parsed.Vars; len(rest) > 0; {
		name, value, more, err := uwsgi.Next(rest)
		if err != nil {
			return err
		}
		rest = more
		switch string(name) {
		case "PATH_INFO":
			pathInfo = string(value)
		case "DOCUMENT_ROOT":
			docroot = string(value)
		}
	}
	program, err := c.server.Find(pathInfo, docroot)
	if err != nil {
		return err
	}
	input, size, err := one.input(e)
	if err != nil {
		return err
	}
	if input != nil && e.kept == nil {
		defer input.Close()
	}
	environ, err := c.server.Environ(os.Environ(), e.parsed.Vars, program, size, c.software)
	if err != nil {
		return err
	}
	if err := one.waitForRoom(e); err != nil {
		return err
	}
	if one.process, err = program.Start(environ, input); err != nil {
		<-c.room
		return err
	}
	one.started.Store(one.process)
	return nil
}

// waitForRoom returns when another program may run, which takes a place that is to be given back.
func (one *script) waitForRoom(e *errand) error {
	until, late := e.limit()
	var timeout <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case one.c.room <- struct{}{}:
		return nil
	case <-e.client.gone:
		return errGone
	case <-timeout:
		return late
	}
}

// input is the body as a file; nil: there is none.
func (one *script) input(e *errand) (*os.File, cgi.Body, error) {
	data := e.memory
	if e.kept != nil {
		if e.kept.file != nil {
			_, err := e.kept.file.Seek(0, io.SeekStart)
			return e.kept.file, cgi.Body(e.kept.size), err
		}
		data = e.kept.memory
	}
	if len(data) == 0 {
		if e.parsed.Body != nil { // it came in chunks, and there were none
			return nil, 0, nil
		}
		return nil, cgi.NoBody, nil
	}
	file, err := openMemory("")
	if err != nil {
		return nil, 0, err
	}
	_, err = file.Write(data)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	if e.kept != nil {
		e.kept.free()
		e.kept = nil
	}
	return file, cgi.Body(len(data)), nil
}

// wake implements answerer.
func (one *script) wake() {
	if process := one.started.Load(); process != nil {
		_ = process.SetReadDeadline(time.Now())
	}
}

// refusal implements answerer.
func (one *script) refusal(e *errand, err error) (status int, more, reason string) {
	var refused *cgi.RefusedError
	var head *cgi.HeadError
	switch {
	case errors.As(err, &refused):
		if refused.Location != "" {
			more = "Location: " + refused.Location + "\r\n"
		}
		return refused.Status, more, refused.Reason
	case errors.Is(err, cgi.ErrNUL):
		return 400, "", ""
	case errors.As(err, &head):
		return 500, "", err.Error() + ": " + e.uri()
	}
	return 500, "", err.Error()
}
