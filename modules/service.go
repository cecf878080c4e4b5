// Package modules reads envoxy.json, the configuration of an Envoxy service: both
// spellings of its keys, the environment and the command line in one document.
package modules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Service is a configuration that has been read, checked and normalised.
type Service struct {
	// Path is the file, as it was named.
	Path string
	// Document is the whole configuration as compact JSON under upstream envoxy's
	// keys; it holds secrets (see Redact).
	Document []byte
	// BootName is boot[0].name, "" when there is none.
	BootName string
	// KeepAlive is the watchdog's interval: boot[0].keep_alive, else keep_alive; 0: off.
	KeepAlive time.Duration
	// HTTPBind is boot[0].http.bind as it was written, "" when there is none.
	HTTPBind string
	// LogLevel is 0 (emergencies only) to 9 (verbose).
	LogLevel int
	// Notices are lines to be logged once: values that were not understood.
	Notices []string

	source *normaliser
	zeroMQ *Error // the first place that needs ZeroMQ, without a reason
}

// UsesZeroMQ tells whether it names something that is answered or asked over ZeroMQ.
func (s *Service) UsesZeroMQ() bool { return s.zeroMQ != nil }

// WithoutZeroMQ is the error of a service that uses ZeroMQ where that is not to be had for a reason.
func (s *Service) WithoutZeroMQ(reason error) error {
	e := *s.zeroMQ
	e.Err = reason
	return &e
}

// Load reads the file, then the ENVOXY_ variables of environ ("NAME=value"), then the
// overrides ("log.level=7", also "conf.log.level=7" as --set has it); the later wins.
// Every error is an *Error.
func Load(path string, environ []string, overrides ...string) (*Service, error) {
	data, err := read(path)
	if err != nil {
		return nil, &Error{File: path, Err: err}
	}
	document, err := parse(data)
	if err != nil {
		return nil, notJSON(path, data, err)
	}
	n := normaliser{file: path, data: data, document: document}
	if err := n.normalise(); err != nil {
		return nil, err
	}
	for _, o := range append(fromEnvironment(environ, document), fromCommandLine(overrides)...) {
		if err := n.apply(o); err != nil {
			return nil, err
		}
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	n.normaliseLogLevel()
	n.noteMisspelt()
	n.noteViewless()
	return n.service(), nil
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return nil, ErrDirectory
	}
	if err == nil {
		var data []byte
		if data, err = os.ReadFile(path); err == nil {
			return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
		}
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return nil, pathError.Err // Error names the file already
	}
	return nil, err
}

func notJSON(path string, data []byte, err error) error {
	e := &Error{File: path, Err: fmt.Errorf("%w: %w", ErrNotJSON, err)}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		e.Line, e.Column = position(data, int(syntax.Offset)-1)
	}
	return e
}

func (n *normaliser) service() *Service {
	s := &Service{Path: n.file, Document: n.document.encode(), Notices: n.notices, source: n, zeroMQ: n.zeroMQ()}
	s.LogLevel, _ = level(n.document.at("log", "level"))
	boot := n.document.at("boot", "0")
	if name := boot.get("name"); name != nil {
		s.BootName = name.text
	}
	if bind := boot.at("http", "bind"); bind != nil {
		s.HTTPBind = bind.text
	}
	for _, keepAlive := range []*node{boot.get("keep_alive"), n.document.get("keep_alive")} {
		if seconds, ok := whole(keepAlive); ok && seconds > 0 {
			s.KeepAlive = time.Duration(seconds) * time.Second
			break
		}
	}
	return s
}

// HTTPAddress is the HOST:PORT of HTTPBind; "": there is none, or it is served with TLS by somebody else.
func (s *Service) HTTPAddress() (string, error) {
	bind := s.HTTPBind
	if scheme, rest, found := strings.Cut(bind, "://"); found {
		if scheme != "http" {
			return "", nil
		}
		bind = rest
	}
	bind, _, _ = strings.Cut(bind, "/")
	if bind == "" {
		return "", nil
	}
	if _, port, err := net.SplitHostPort(bind); err != nil || port == "" {
		at := s.source.document.at("boot", "0", "http", "bind")
		return "", s.source.fault(at, "boot.0.http.bind", fmt.Errorf("%w: host:port is wanted", ErrValue))
	}
	return bind, nil
}

// HealthURL is the service's own health check, made from HTTPBind; "" without one.
func (s *Service) HealthURL() string {
	bind := strings.TrimSuffix(s.HTTPBind, "/")
	if bind == "" {
		return ""
	}
	if strings.Contains(bind, "://") {
		return bind + "/_health"
	}
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return "http://" + bind + "/_health"
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/_health"
}

// whole reads a number that may be written as text.
func whole(n *node) (int, bool) {
	if n == nil || n.kind != number && n.kind != text {
		return 0, false
	}
	value, err := strconv.Atoi(strings.TrimSpace(n.text))
	return value, err == nil
}
