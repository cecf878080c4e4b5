package gatewayspec

// Health is the note in which the gateway keeps what it knows of connectors and events. Workers answer
// /health from it, and the master reads it for the statistics.
type Health struct {
	Connectors map[string]Condition `json:"connectors"` // by their place in envoxy.json: "mqtt.broker"
	Events     Events               `json:"events"`
	Every      float64              `json:"every"` // seconds between two looks at a connector
}

// States of a connector.
const (
	Up      = "up"
	Down    = "down"
	Unknown = "unknown" // before the first look
)

// Condition is what is known of one connector.
type Condition struct {
	Status  string  `json:"status"`  // Up, Down or Unknown
	Checked float64 `json:"checked"` // seconds of the monotonic clock
	Since   float64 `json:"since"`   // unix seconds: how long it has had this status
	Millis  float64 `json:"ms"`      // that the look took
	Error   string  `json:"error,omitempty"`
}

// Events are counts of messages from brokers and peers.
type Events struct {
	Received    uint64 `json:"received"`
	Handled     uint64 `json:"handled"`
	Failed      uint64 `json:"failed"`
	Redelivered uint64 `json:"redelivered"`
	Dropped     uint64 `json:"dropped"`
	Waiting     int    `json:"waiting"` // for a free core
	Working     int    `json:"working"` // in a handler now
}
