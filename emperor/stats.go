package emperor

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"envoxyd/uwsgiopts"
)

// document is what --emperor-stats answers. Its fields and their order are uWSGI's; numbers are integers, times unix seconds.
type document struct {
	Version       string         `json:"version"`
	PID           int            `json:"pid"`
	UID           int            `json:"uid"`
	GID           int            `json:"gid"`
	Cwd           string         `json:"cwd"`
	Emperor       []string       `json:"emperor"`
	Tyrant        int            `json:"emperor_tyrant"`
	ThrottleLevel int            `json:"throttle_level"`
	Vassals       []vassalObject `json:"vassals"`
	Blacklist     []listedObject `json:"blacklist"`
}

type vassalObject struct {
	ID            string            `json:"id"`
	PID           int               `json:"pid"`
	Born          int64             `json:"born"`
	LastMod       int64             `json:"last_mod"`
	LastHeartbeat int64             `json:"last_heartbeat"`
	Loyal         int               `json:"loyal"`
	Ready         int               `json:"ready"`
	Accepting     int               `json:"accepting"`
	LastLoyal     int64             `json:"last_loyal"`
	LastReady     int64             `json:"last_ready"`
	LastAccepting int64             `json:"last_accepting"`
	FirstRun      int64             `json:"first_run"`
	LastRun       int64             `json:"last_run"`
	Cursed        int64             `json:"cursed"`
	Zerg          int               `json:"zerg"`
	OnDemand      string            `json:"on_demand"`
	Suspended     int               `json:"suspended"`
	Adopted       int               `json:"adopted"`
	UID           uint32            `json:"uid"`
	GID           uint32            `json:"gid"`
	Monitor       string            `json:"monitor"`
	Attrs         map[string]string `json:"attrs"`
	Respawns      int               `json:"respawns"`
}

type listedObject struct {
	ID            string `json:"id"`
	ThrottleLevel int64  `json:"throttle_level"` // milliseconds that it still waits
	Attempt       int    `json:"attempt"`
	FirstAttempt  int64  `json:"first_attempt"`
	LastAttempt   int64  `json:"last_attempt"`
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func given(t time.Time) int {
	if t.IsZero() {
		return 0
	}
	return 1
}

// document is the state now.
func (e *Emperor) document(now time.Time) document {
	cwd, _ := os.Getwd()
	d := document{Version: e.version, PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid(), Cwd: cwd, Emperor: []string{},
		Vassals: []vassalObject{}, Blacklist: []listedObject{}}
	for _, place := range e.cfg.Emperors {
		d.Emperor = append(d.Emperor, uwsgiopts.PublicPlace(place))
	}
	if e.cfg.EmperorTyrant {
		d.Tyrant = 1
	}
	for _, path := range e.order {
		v := e.vassals[path]
		d.Vassals = append(d.Vassals, vassalObject{
			ID: v.ID, PID: v.pid(), Born: seconds(v.born), LastMod: seconds(v.Changed), LastHeartbeat: seconds(v.heartbeat),
			Loyal: given(v.loyal), Ready: given(v.ready), Accepting: given(v.accepting), LastLoyal: seconds(v.loyal), LastReady: seconds(v.ready),
			LastAccepting: seconds(v.accepting), FirstRun: seconds(v.firstRun), LastRun: seconds(v.lastRun), Cursed: seconds(v.cursed),
			OnDemand: v.Socket, UID: v.UID, GID: v.GID, Monitor: v.Monitor, Attrs: v.attrs, Respawns: max(v.starts-1, 0),
		})
		if v.failed {
			d.Blacklist = append(d.Blacklist, listedObject{ID: v.ID, ThrottleLevel: max(v.retry.Sub(now).Milliseconds(), 0), Attempt: v.backoff.Row(),
				FirstAttempt: seconds(v.firstRun), LastAttempt: seconds(v.lastRun)})
		}
	}
	return d
}

// serveStats answers --emperor-stats, if that is wanted: each connection gets the document, and is closed.
func (e *Emperor) serveStats() error {
	address := e.cfg.EmperorStats
	if address == "" {
		return nil
	}
	network := "tcp"
	if strings.Contains(address, "/") || !strings.Contains(address, ":") {
		network = "unix"
		if info, err := os.Lstat(address); err == nil && info.Mode()&os.ModeSocket != 0 {
			_ = os.Remove(address)
		}
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return fmt.Errorf("emperor-stats: %w", err)
	}
	e.running.Go(func() {
		<-e.ctx.Done()
		listener.Close()
	})
	e.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e.running.Go(func() { e.answer(conn) })
		}
	})
	e.log("*** Emperor stats server enabled on %s ***", address)
	return nil
}

func (e *Emperor) answer(conn net.Conn) {
	defer conn.Close()
	answer := make(chan document, 1)
	e.post(func(e *Emperor) { answer <- e.document(time.Now()) })
	select {
	case d := <-answer:
		_ = conn.SetWriteDeadline(time.Now().Add(4 * time.Second))
		encoder := json.NewEncoder(conn)
		encoder.SetIndent("", "\t")
		_ = encoder.Encode(d) // a reader that has gone needs no answer
	case <-e.ctx.Done():
	}
}
