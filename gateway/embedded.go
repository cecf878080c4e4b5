package gateway

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// embeddedBroker is a broker inside the gateway, for a first try without one: it keeps
// nothing on disk and asks for no login.
type embeddedBroker struct {
	server  *mochi.Server
	address string // host:port
}

// startEmbedded serves on the address of a bind.
func startEmbedded(bind string) (*embeddedBroker, error) {
	u, err := url.Parse(bind)
	if err != nil || u.Scheme != "mqtt" || u.Port() == "" {
		return nil, fmt.Errorf("embedded broker: bind: mqtt://host:port is wanted")
	}
	server := mochi.New(&mochi.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := server.AddHook(new(auth.AllowHook), nil); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	if err := server.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: u.Host})); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	if err := server.Serve(); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	return &embeddedBroker{server, u.Host}, nil
}

// flags are mosquitto_pub's for this broker.
func (e *embeddedBroker) flags() string {
	host, port, _ := strings.Cut(e.address, ":")
	if host == "" || host == "0.0.0.0" {
		host = "localhost"
	}
	return "-h " + host + " -p " + port
}

// exampleTopic is a topic that the service subscribes to.
func exampleTopic(filters map[string]byte) string {
	for filter := range filters {
		return strings.NewReplacer("+", "x", "#", "x").Replace(filter)
	}
	return "topic"
}

func (b *broker) stopEmbedded() {
	if b.embedded != nil {
		_ = b.embedded.server.Close() // it ends with the process in any case
	}
}
