package master

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/master/sockets"
	"envoxyd/master/stats"
)

// talliesMemory is the name under which an upgrade hands the memory over: not to a program with another layout.
var talliesMemory = fmt.Sprintf("tallies-%d", shm.TalliesSize)

// tallies are counters that other processes add to, over reloads and upgrades.
type tallies struct {
	file *os.File // kept's
	*shm.Tallies
}

// openTallies maps the memory, which an older master may have passed on.
func (m *master) openTallies() (err error) {
	if m.tallies.file, err = m.owned.kept.Memory(talliesMemory, shm.NewTalliesFile); err != nil {
		return err
	}
	m.tallies.Tallies, err = shm.OpenTallies(int(m.tallies.file.Fd()))
	return err
}

// countSockets adds what workers have counted of each socket. The protocol is the one that workers serve.
func (m *master) countSockets(s *stats.Snapshot, list []*sockets.Socket) {
	if m.tallies.Tallies == nil {
		return
	}
	counts := map[string][shm.TallyCounters]uint64{}
	m.tallies.Read(workerspec.TallySocket, func(name string, n [shm.TallyCounters]uint64) {
		sum := counts[name]
		for i := range sum {
			sum[i] += n[i]
		}
		counts[name] = sum
	})
	at := 0
	for _, one := range list {
		if !one.ForWorkers() {
			continue
		}
		n := counts[one.Protocol+"\x00"+one.Name]
		s.Sockets[at].Accepted, s.Sockets[at].Requests = n[workerspec.CountAccepted], n[workerspec.CountRequests]
		at++
	}
}

// describePools tells of the connections to PostgreSQL servers that workers have.
func (m *master) describePools(s *stats.Snapshot) {
	if m.tallies.Tallies == nil {
		return
	}
	m.tallies.Read(workerspec.TallyPool, func(name string, n [shm.TallyCounters]uint64) {
		p := s.Pool(name)
		p.Opened += n[workerspec.CountOpened]
		p.Acquired += n[workerspec.CountAcquired]
		p.Waited += n[workerspec.CountWaited]
		p.WaitTime += time.Duration(n[workerspec.CountWaitMicros]) * time.Microsecond
		p.TimedOut += n[workerspec.CountTimedOut]
	})
	lives := func(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
	m.tallies.Readings(workerspec.ReadingsPool, lives, func(name string, now [shm.ReadingValues]int64) {
		p := s.Pool(name)
		p.Open += int(now[workerspec.ReadingOpen])
		p.InUse += int(now[workerspec.ReadingInUse])
		p.Waiting += int(now[workerspec.ReadingWaiting])
		p.Limit += int(now[workerspec.ReadingLimit])
	})
}

// describeEvents tells of the event gateway, if the service has one.
func (m *master) describeEvents(s *stats.Snapshot) {
	at := slices.IndexFunc(m.gateways, func(g *gateway) bool { return g.events && g.wanted })
	if at < 0 || m.tallies.Tallies == nil {
		return
	}
	s.Events = &stats.Events{}
	m.tallies.Read(gatewayspec.TallyEvents, func(name string, n [shm.TallyCounters]uint64) {
		if name == "" {
			s.Events.Add(eventCounts(n))
			s.Events.Published += n[gatewayspec.CountPublished]
		}
	})
	m.tallies.Read(gatewayspec.TallyFilter, func(name string, n [shm.TallyCounters]uint64) {
		server, filter, _ := strings.Cut(name, "\x00")
		s.Events.AddSource(stats.EventSource{Kind: "mqtt", Server: server, Name: filter, EventCounts: eventCounts(n)})
	})
	m.tallies.Read(gatewayspec.TallyTimer, func(name string, n [shm.TallyCounters]uint64) {
		s.Events.AddSource(stats.EventSource{Kind: "timer", Name: name, EventCounts: eventCounts(n)})
	})
	var found gatewayspec.Health
	if note := m.gateways[at].health(); note != nil && note.ReadJSON(&found) {
		s.Events.Waiting, s.Events.Working = found.Events.Waiting, found.Events.Working
		s.ReadConnectors(&found)
	}
}

func eventCounts(n [shm.TallyCounters]uint64) stats.EventCounts {
	return stats.EventCounts{Received: n[gatewayspec.CountReceived], Handled: n[gatewayspec.CountHandled], Failed: n[gatewayspec.CountFailed],
		Redelivered: n[gatewayspec.CountRedelivered], Dropped: n[gatewayspec.CountDropped]}
}
