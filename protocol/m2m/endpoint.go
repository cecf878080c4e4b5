package m2m

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// ErrEndpoint is about an address that is not understood.
var ErrEndpoint = errors.New("tcp://host:port, tcp://*:port or ipc:///path is wanted")

// maxPath is what the system takes as the path of a unix socket.
const maxPath = 107

// Endpoint is where a socket is bound, or connects to.
type Endpoint struct {
	Host, Port string // of tcp; Host is "" for all addresses of the machine
	Path       string // of ipc
}

// ParseEndpoint reads tcp://host:port, tcp://*:port, ipc:///path; "host:port" and ":port" are TCP, too.
func ParseEndpoint(text string) (Endpoint, error) {
	if path, is := strings.CutPrefix(text, "ipc://"); is {
		if path == "" || path == "*" || len(path) > maxPath {
			return Endpoint{}, fmt.Errorf("%w; a path has 1 to %d bytes", ErrEndpoint, maxPath)
		}
		return Endpoint{Path: path}, nil
	}
	address := strings.TrimPrefix(text, "tcp://")
	if strings.Contains(address, "://") {
		return Endpoint{}, ErrEndpoint
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return Endpoint{}, ErrEndpoint
	}
	for _, digit := range port {
		if digit < '0' || digit > '9' {
			return Endpoint{}, fmt.Errorf("%w; the port is a number", ErrEndpoint)
		}
	}
	if port == "" || len(port) > 5 {
		return Endpoint{}, ErrEndpoint
	}
	if host == "*" {
		host = ""
	}
	return Endpoint{Host: host, Port: port}, nil
}

// String is the endpoint as ZeroMQ has it.
func (e Endpoint) String() string {
	switch {
	case e.Path != "":
		return "ipc://" + e.Path
	case e.Host == "":
		return "tcp://*:" + e.Port
	}
	return "tcp://" + net.JoinHostPort(e.Host, e.Port)
}

// Dial is the network and address under which package net reaches it.
func (e Endpoint) Dial() (network, address string) {
	if e.Path != "" {
		if rest, abstract := strings.CutPrefix(e.Path, "@"); abstract {
			return "unix", "@" + rest
		}
		return "unix", e.Path
	}
	return "tcp", net.JoinHostPort(e.Host, e.Port)
}
