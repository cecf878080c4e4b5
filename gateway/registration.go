package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"envoxyd/internal/shm"
	"envoxyd/transports/mqtt"
)

// Registration is what a generation of the service has to say: its configuration and
// what it subscribes to. Its Python sends it before it serves.
type Registration struct {
	Generation    int             `json:"generation"`
	Service       string          `json:"service"`
	Conf          json.RawMessage `json:"conf"`
	Login         Login           `json:"login"`
	Subscriptions []Subscription  `json:"subscriptions"`
	Timers        []Timer         `json:"timers"`
	ZMQ           bool            `json:"zmq"` // views answer on ZeroMQ
}

// Login is how the service introduces itself to brokers whose bind names no login.
type Login struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// Subscription is a filter of one broker that the service has a handler for.
type Subscription struct {
	Server string `json:"server"`
	Filter string `json:"filter"`
	QoS    byte   `json:"qos"`
	Owner  int    `json:"owner"`  // the process that alone has the handler; 0: every worker
	Name   string `json:"name"`   // under which workers find a handler that was added after the start
	Shared bool   `json:"shared"` // each message is for one instance of the service
}

// origin is the connection that its messages come by.
func (s Subscription) origin() origin { return origin{s.Server, s.Shared} }

// check is errInvalid for what no broker would take.
func (s Subscription) check() error {
	if !mqtt.ValidFilter(s.Filter) || s.QoS > 2 {
		return fmt.Errorf("%w: %q cannot be subscribed to with QoS %d", errInvalid, s.Filter, s.QoS)
	}
	return nil
}

// Timer is a function of the service that is called at set times.
type Timer struct {
	Name  string  `json:"name"`
	Every float64 `json:"every"` // seconds; 0: see Cron
	Cron  string  `json:"cron"`
	Once  bool    `json:"once"` // of all instances of the service one calls it
}

// state is what outlives a gateway that ends unexpectedly.
type state struct {
	Active        int                   `json:"active"` // the generation that serves; -1: none yet
	Registrations map[int]*Registration `json:"registrations"`
	ClientIDs     map[string]string     `json:"client_ids"`  // made up for brokers, by connection
	Subscribed    map[string][]string   `json:"subscribed"`  // filters of shared subscriptions, by client id
	Incarnation   int                   `json:"incarnation"` // how many gateways there have been
}

func parseRegistration(payload []byte) (*Registration, error) {
	r := &Registration{}
	if err := json.Unmarshal(payload, r); err != nil {
		return nil, fmt.Errorf("%w: registration: %w", errInvalid, err)
	}
	return r, nil
}

func loadState(note *shm.Note) *state {
	s := &state{Active: -1}
	if !note.ReadJSON(s) {
		s = &state{Active: -1} // what a writer that was killed meanwhile has lost is registered again at the next reload
	}
	if s.Registrations == nil {
		s.Registrations = map[int]*Registration{}
	}
	if s.ClientIDs == nil {
		s.ClientIDs = map[string]string{}
	}
	if s.Subscribed == nil {
		s.Subscribed = map[string][]string{}
	}
	return s
}

func (s *state) save(note *shm.Note) error {
	if err := note.WriteJSON(s); err != nil {
		return fmt.Errorf("gateway: keeping what the service has registered: %w", err)
	}
	return nil
}

// register merges: with lazy-apps each worker registers the same.
func (s *state) register(r *Registration) {
	for n := range s.Registrations {
		if n > s.Active && n < r.Generation { // it has failed: there is one after it
			delete(s.Registrations, n)
		}
	}
	known := s.Registrations[r.Generation]
	if known == nil {
		s.Registrations[r.Generation] = r
		return
	}
	for _, subscription := range known.Subscriptions {
		if !slices.Contains(r.Subscriptions, subscription) {
			r.Subscriptions = append(r.Subscriptions, subscription)
		}
	}
	s.Registrations[r.Generation] = r
}

// takeOut removes the subscriptions that no broker would take, and returns them.
func (r *Registration) takeOut() (unusable []Subscription) {
	r.Subscriptions = slices.DeleteFunc(r.Subscriptions, func(s Subscription) bool {
		bad := s.check() != nil
		if bad {
			unusable = append(unusable, s)
		}
		return bad
	})
	return unusable
}

// activate makes the generation the one that serves, and forgets those before.
func (s *state) activate(generation int) {
	s.Active = generation
	maps.DeleteFunc(s.Registrations, func(n int, _ *Registration) bool { return n < generation })
}

// uniqueLength is how many letters at the end of a client id that was made up tell it from others.
const uniqueLength = 12

// clientID is the name that the service has at a broker: always the same while it runs.
func (s *state) clientID(connection, service string) string {
	if id := s.ClientIDs[connection]; id != "" {
		return id
	}
	var unique [uniqueLength / 2]byte
	_, _ = rand.Read(unique[:]) // never fails
	id := "envoxyd-" + hex.EncodeToString(unique[:])
	if service != "" {
		id = fmt.Sprintf("%.40s-%s", groupName(service), hex.EncodeToString(unique[:]))
	}
	s.ClientIDs[connection] = id
	return id
}

// filters are the subscriptions of one connection with the highest quality asked for each.
func (r *Registration) filters(of origin) map[string]byte {
	found := map[string]byte{}
	for _, s := range r.Subscriptions {
		if s.origin() == of {
			found[s.Filter] = max(found[s.Filter], s.QoS)
		}
	}
	return found
}
