// Package gatewayspec is what the master and the event gateway say to each other:
// the document that the gateway is started with, and the messages afterwards.
package gatewayspec

// Spec is the document; the gateway finds its descriptor's number in its first
// argument. All descriptors are inherited.
type Spec struct {
	ControlFD  int `json:"control_fd"`  // a SOCK_SEQPACKET socket to the master: Orders in, Events out
	CallsFD    int `json:"calls_fd"`    // a SOCK_SEQPACKET socket on which workers send one end of a stream each
	StateFD    int `json:"state_fd"`    // memory that outlives the gateway: what services have registered
	HealthFD   int `json:"health_fd"`   // memory that workers read: see internal/shm.Note
	ProgressFD int `json:"progress_fd"` // memory that workers write: see internal/shm.Progress
	TalliesFD  int `json:"tallies_fd"`  // counters of events that outlive the gateway: see internal/shm.Tallies
	LivingFD   int `json:"living_fd"`   // a pipe's writing end that nobody else holds: its end is seen by a successor

	// PredecessorFD reads end of file when the gateway of the previous executable
	// has left its brokers; -1: there was none.
	PredecessorFD int `json:"predecessor_fd"`

	Cores int `json:"cores"` // deliveries to workers at the same time
}

// Orders that the master gives.
const (
	// Prepare connects what the generation has registered, before its workers exist.
	Prepare = "prepare"
	// Activate has messages go to the generation's workers from now on. A descriptor
	// comes with it: the sending end of the generation's handover socket.
	Activate = "activate"
	// Quiesce takes no more messages from brokers and finishes those that are here.
	Quiesce = "quiesce"
	// Stop sends what is still to be published, leaves the brokers and ends.
	Stop = "stop"
)

// Order is one datagram from the master.
type Order struct {
	Kind       string `json:"kind"`
	Generation int    `json:"generation"`
	Cores      int    `json:"cores"`     // of Activate: how many cores the generation has
	Millis     int    `json:"millis"`    // of Quiesce: how long what is here may take
	Successor  bool   `json:"successor"` // of Stop: another executable's gateway takes over the brokers' sessions
}

// What the gateway tells the master.
const (
	Prepared = "prepared" // brokers are connected, or were tried
	Quiet    = "quiet"    // after Quiesce: nothing is on its way to a worker any more
)

// Event is one datagram to the master.
type Event struct {
	Kind       string `json:"kind"`
	Generation int    `json:"generation"`
}

// HandoverHeader goes with a descriptor over a handover socket: a connection that any
// idle core takes. Listener is the index of the socket that it was accepted on.
type HandoverHeader struct {
	Listener int
	Addr     string // the client's, as is Port
	Port     string
	Copied   bool `json:",omitempty"` // a child of a worker's application may hold a copy of the descriptor

	ServerAddr, ServerPort string // what a PROXY header said
	Unread                 bool   // a PROXY header may come
	Kept                   bool   `json:",omitempty"` // transports.Conn has it
}

// EventListener is the Listener of the gateway's deliveries: no socket was accepted on.
const EventListener = -1

// How the answer to a delivery ends, so that its connection may serve for another one: the
// second modifier of the packet.
const (
	EndsWithStream = iota // with the connection
	EndsAsHTTP            // where its head says
	EndsWithMarks         // with the mark of the last message, or one that gives messages back
)

// Link follows an answer when the worker keeps the connection for the gateway's next delivery.
// Either side may close one that is not in use.
const Link = 0x06

// Unread stands in place of an answer: the worker closes the connection, and has not read the
// packet. (One that was killed says so by ECONNRESET.)
const Unread = 0x15

// The variables of an event request, beside those of HTTP's that the log shows.
const (
	VarKind   = "ENVOXYD_EVENT"     // who handles it: "mqtt", "zmq", "timer"
	VarServer = "ENVOXYD_SERVER"    // the key of the broker
	VarSlot   = "ENVOXYD_SLOT"      // where the worker notes how many messages of a delivery it has handled
	VarOwner  = "ENVOXYD_OWNER"     // the process that alone can handle it
	VarNames  = "ENVOXYD_CALLBACKS" // a JSON list: handlers that were named after the start
	VarShared = "ENVOXYD_SHARED"    // "1": the messages are for handlers that the service's instances share
)
