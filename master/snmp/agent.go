// Package snmp answers SNMP v1 and v2c: uWSGI's variables, read-only.
//
// It knows no master: a Host makes the snapshots.
package snmp

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/shm"
	"envoxyd/master/stats"
)

// mostBytes is how large a request may be; larger ones are cut, and so are none.
const mostBytes = 4096

// Host is what an Agent needs of the program that is asked about.
type Host interface {
	// Ask has the owner of the state make a snapshot, and returns it; nil when ctx has ended
	// before. It is called on any goroutine.
	Ask(ctx context.Context) *stats.Snapshot
	// Logf is called on any goroutine.
	Logf(format string, args ...any)
}

// Settings are where an Agent is asked, and by whom.
type Settings struct {
	FD        int // a socket of UDP; it stays the caller's. -1: there is none
	Name      string
	Community string // "": nobody is answered
}

// Agent answers on one socket. The zero value answers nobody. Its methods are called by the goroutine that owns the
// state.
type Agent struct{ server *server }

// server serves one socket. Its goroutine is waited for by close.
type server struct {
	host      Host
	settings  Settings // but for the community
	values    *shm.SNMPValues
	community atomic.Pointer[string]
	conn      net.PacketConn
	ctx       context.Context // ends when close begins
	end       context.CancelFunc
	running   sync.WaitGroup
}

// Replace answers as the settings want from now on. A server goes on if its socket is the same.
func (a *Agent) Replace(host Host, values *shm.SNMPValues, settings Settings) {
	community := settings.Community
	settings.Community = ""
	if a.server != nil && a.server.settings != settings {
		a.Close()
	}
	if a.server == nil && settings.FD >= 0 {
		s, err := newServer(host, values, settings, community)
		if err != nil {
			host.Logf("SNMP on %s: %v", settings.Name, err)
			return
		}
		host.Logf("SNMP server enabled on %s", settings.Name)
		a.server = s
	}
	if a.server != nil {
		a.server.community.Store(&community)
	}
}

// Close ends the answers and waits for the last one; the socket stays open.
func (a *Agent) Close() {
	if a.server != nil {
		a.server.close()
		a.server = nil
	}
}

func newServer(host Host, values *shm.SNMPValues, settings Settings, community string) (*server, error) {
	fd, err := unix.FcntlInt(uintptr(settings.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", settings.FD, err)
	}
	file := os.NewFile(uintptr(fd), settings.Name)
	conn, err := net.FilePacketConn(file)
	file.Close()
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", settings.FD, err)
	}
	s := &server{host: host, settings: settings, values: values, conn: conn}
	s.community.Store(&community)
	s.ctx, s.end = context.WithCancel(context.Background())
	s.running.Go(s.serve)
	return s, nil
}

func (s *server) close() {
	s.end()
	_ = s.conn.Close()
	s.running.Wait()
}

func (s *server) serve() {
	var datagram [mostBytes]byte
	for {
		size, from, err := s.conn.ReadFrom(datagram[:])
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no memory is left, perhaps
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(time.Second):
			}
		default:
			if answer := s.answer(datagram[:size]); answer != nil {
				_, _ = s.conn.WriteTo(answer, from) // the client asks again
			}
		}
	}
}

// answer is the answer to a datagram; nil: it gets none. To strangers nothing is here.
func (s *server) answer(datagram []byte) []byte {
	community := *s.community.Load()
	q, ok := parse(datagram)
	if !ok || community == "" || subtle.ConstantTimeCompare(q.community, []byte(community)) != 1 {
		return nil
	}
	snapshot := s.host.Ask(s.ctx)
	if snapshot == nil {
		return nil
	}
	snapshot.Measure(stats.NoMemory)
	return q.answer(newTree(snapshot, s.values))
}
