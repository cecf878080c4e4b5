package worker

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"envoxyd/modules/postgres"
)

// service is a connector that the application's Python calls through the extension.
// Both sides agree on what the bytes mean; the bridge does not interpret them.
type service interface {
	// Call carries out one operation, until ctx ends. The payload is the caller's, and
	// deliver's reply the service's, for the time of the call only.
	Call(ctx context.Context, operation int, payload []byte, deliver func(reply []byte)) error
	// Close ends the service's connections; the process is about to end.
	Close()
}

// services are what _envoxyd.call reaches, by name.
var services = map[string]service{
	"postgres": postgres.New(),
	"tracing":  messageSpans{},
}

// callService calls a service. A panic in a service is its error: the worker goes on.
func callService(ctx context.Context, name string, operation int, payload []byte, deliver func([]byte)) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Fprintf(os.Stderr, "envoxyd: internal error in %s: %v\n%s", name, problem, debug.Stack())
			err = fmt.Errorf("internal error in %s: %v", name, problem)
		}
	}()
	found := services[name]
	if found == nil {
		return fmt.Errorf("this envoxyd has no service %q", name)
	}
	return found.Call(ctx, operation, payload, deliver)
}

// closeServices is called when the application is done, after its own exit handlers.
func closeServices() {
	for _, one := range services {
		one.Close()
	}
}
