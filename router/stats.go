package router

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"envoxyd/internal/routerspec"
	"envoxyd/internal/stream"
	"envoxyd/router/nodes"
)

// statsTimeout is how long who asks for statistics may take.
const statsTimeout = 5 * time.Second

func isUDP(address string) bool {
	return strings.Contains(address, ":") && !strings.Contains(address, "/")
}

// serveStats answers everybody who connects with the statistics, as uWSGI's routers do.
func (p *process) serveStats() error {
	for i := range p.spec.Stats {
		s := &p.spec.Stats[i]
		l, err := stream.Listen(s.FD)
		if err != nil {
			return fmt.Errorf("stats server %s: %w", s.Name, err)
		}
		p.listeners = append(p.listeners, l)
		p.logf("*** %s stats server enabled on %s fd: %d ***", p.spec.Kind, s.Name, s.FD)
		p.running.Go(func() { p.answerStats(l) })
	}
	return nil
}

func (p *process) answerStats(l *stream.Listener) {
	for {
		conn, _, err := l.Accept()
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			l.Interrupt(false) // what is cheap is the front
			continue
		case err != nil:
			select {
			case <-time.After(scarcePause):
			case <-p.ctx.Done():
			}
			continue
		}
		conn.WriteTimeout(statsTimeout)
		text := p.stats()
		if p.spec.StatsHTTP {
			_, _ = conn.Write([]byte("HTTP/1.0 200 OK\r\nConnection: close\r\nAccess-Control-Allow-Origin: *\r\nContent-Type: application/json\r\n\r\n"))
		}
		_, _ = conn.Write(text) // who has left needs no answer
		_ = conn.Close()
	}
}

// stats is the document.
func (p *process) stats() []byte {
	var text strings.Builder
	field := func(name string, value any) {
		line, err := json.MarshalIndent(value, "\t", "\t")
		if err == nil {
			fmt.Fprintf(&text, "\t%q:%s,\n", name, line)
		}
	}
	cwd, _ := os.Getwd() // without one it is empty
	field("version", p.spec.Version)
	field("pid", os.Getpid())
	field("uid", os.Getuid())
	field("gid", os.Getgid())
	field("cwd", cwd)
	field("active_sessions", p.active.Load())
	names := []string{}
	for _, list := range [][]routerspec.Socket{p.spec.Fronts, p.spec.Subscriptions} {
		for _, s := range list {
			names = append(names, s.Name)
		}
	}
	field(p.spec.Kind, names)
	static, pools := p.up.Table.Status()
	if static == nil {
		static = []nodes.StaticStatus{}
	}
	if len(p.spec.Routing.To) > 0 {
		field("static_nodes", static)
	}
	if len(p.spec.Subscriptions) > 0 {
		field("subscriptions", pools)
	}
	cheap := 0
	if p.cheap.on() {
		cheap = 1
	}
	return fmt.Appendf(nil, "{\n%s\t\"cheap\":%d\n}\n", text.String(), cheap)
}
