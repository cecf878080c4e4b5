package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"envoxyd/internal/gatewayspec"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/zmq"
)

// peers is the ZeroMQ half: services that we ask, and the sockets on which we answer.
type peers struct {
	mu        sync.Mutex             // of the maps
	clients   map[string]*zmq.Client // by endpoint
	listeners map[string]net.Listener
	server    *zmq.Server
}

// applyZMQ opens and closes ZeroMQ binds as the configuration has them. Called with g.mu held.
func (g *Gateway) applyZMQ(c *conf, r *Registration) {
	var binds []string
	for _, boot := range c.Boot {
		binds = append(binds, boot.ZMQ.Bind...)
	}
	if !r.ZMQ && len(binds) > 0 {
		g.logf("[ZMQ] boot.zmq.bind is there, but no view has protocols=['zmq']: nothing is bound")
		binds = nil
	}
	g.peers.mu.Lock()
	defer g.peers.mu.Unlock()
	for bind, listener := range g.peers.listeners {
		if !slices.Contains(binds, bind) {
			listener.Close()
			delete(g.peers.listeners, bind)
		}
	}
	for _, bind := range binds {
		if g.peers.listeners[bind] == nil && !g.quiet.Load() {
			g.listenZMQ(bind)
		}
	}
}

func (g *Gateway) listenZMQ(bind string) {
	address, err := zmq.Address(bind)
	if err == nil {
		var listener net.Listener
		if listener, err = net.Listen("tcp", address); err == nil {
			g.logf("[ZMQ] answering on %s", listener.Addr())
			g.peers.listeners[bind] = listener
			g.running.Go(func() { g.peers.server.Serve(listener) })
			return
		}
	}
	g.errorf("[ZMQ] %s: %v", bind, err)
}

// ask sends a request to another service, over one of at most so many connections, and
// returns its reply, both JSON.
func (g *Gateway) ask(ctx context.Context, endpoint string, most int, request []byte, again bool) ([]byte, error) {
	if _, err := zmq.Address(endpoint); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalid, err)
	}
	g.peers.mu.Lock()
	client := g.peers.clients[endpoint]
	if client == nil {
		client = &zmq.Client{Endpoint: endpoint, MaxConnections: most}
		g.peers.clients[endpoint] = client
	}
	g.peers.mu.Unlock()
	return client.Do(ctx, request, again)
}

func isTimeout(err error) bool { return errors.Is(err, zmq.ErrTimeout) }

// answerZMQ has a view answer a peer's request.
func (g *Gateway) answerZMQ(ctx context.Context, text []byte, peer string) []byte {
	g.keepAwake.touch()
	request, reply := zmq.Request{}, zmq.Reply{Protocol: "M2M", Performative: zmq.PerformativeReply, Headers: map[string]string{}}
	if err := json.Unmarshal(text, &request); err != nil {
		return encodeReply(problem(&reply, 400, "the request is not a JSON object of performative, resource, headers, params, payload"))
	}
	reply.Resource = request.Resource
	for name, value := range request.Headers {
		if strings.EqualFold(name, "X-Cid") {
			reply.Headers["X-Cid"] = textOf(value)
		}
	}
	method, ok := request.Method()
	if !ok {
		return encodeReply(problem(&reply, 400, fmt.Sprintf("performative %q is not a request's", request.Performative.String())))
	}
	body := []byte(request.Payload)
	if string(body) == "null" {
		body = nil
	}
	vars, err := requestVars(&request, method, len(body), peer)
	if err != nil {
		return encodeReply(problem(&reply, 431, err.Error()))
	}
	// A worker that dies before it has begun to answer has perhaps done nothing yet; only
	// what may be done twice is asked of another.
	for attempt := 0; ; attempt++ {
		err := g.deliver(ctx, gatewayspec.EndsAsHTTP, vars, body, func(r *bufio.Reader) error { return readResponse(r, method, &reply) })
		switch {
		case err == nil || errors.Is(err, errTooLong):
			return encodeReply(&reply)
		case ctx.Err() != nil:
			return nil
		case !idempotent(method) || attempt >= 2:
			g.logf("[ZMQ] %s %s: the worker ended before it answered", method, request.Resource)
			return encodeReply(problem(&reply, 502, "the worker ended before it answered"))
		}
	}
}

func idempotent(method string) bool {
	return method != "POST" && method != "PATCH" && method != "NOTIFY"
}

func problem(reply *zmq.Reply, status int, text string) *zmq.Reply {
	reply.Status = status
	payload, err := json.Marshal(map[string]any{"code": 0, "text": text})
	if err == nil {
		reply.Payload = payload
	}
	return reply
}

func encodeReply(reply *zmq.Reply) []byte {
	if reply.Payload == nil {
		reply.Payload = json.RawMessage("null")
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(reply); err != nil { // a payload that is not JSON after all
		return []byte(`{"protocol":"M2M","performative":7,"status":500,"headers":{},"payload":null}`)
	}
	return bytes.TrimRight(text.Bytes(), "\n")
}

// maxVars is what a worker takes of an event's variables (see worker).
const maxVars = 16 << 10

var errVars = errors.New("the headers and parameters are too long")

// requestVars are a request's variables as HTTP would give them.
func requestVars(r *zmq.Request, method string, size int, peer string) ([]byte, error) {
	path, query, _ := strings.Cut(r.Resource, "?")
	if params := queryOf(r.Params); params != "" {
		query = strings.TrimPrefix(query+"&"+params, "&")
	}
	uri := (&url.URL{Path: path}).EscapedPath()
	if query != "" {
		uri += "?" + query
	}
	host, port, err := net.SplitHostPort(peer)
	if err != nil {
		host = peer
	}
	if len(method)+len(uri)+len(path)+len(query) > maxVars-1024 {
		return nil, errVars
	}
	vars := appendVars(make([]byte, 0, 1024), [][2]string{
		{"REQUEST_METHOD", method}, {"REQUEST_URI", uri}, {"PATH_INFO", path}, {"QUERY_STRING", query}, {"SCRIPT_NAME", ""},
		{"SERVER_PROTOCOL", "HTTP/1.1"}, {"SERVER_NAME", "zmq"}, {"SERVER_PORT", "0"}, {"REMOTE_ADDR", host}, {"REMOTE_PORT", port},
		{"CONTENT_TYPE", "application/json"}, {"CONTENT_LENGTH", strconv.Itoa(size)}, {gatewayspec.VarKind, "zmq"},
	}...)
	seen := map[string]bool{"HTTP_CONTENT_TYPE": true, "HTTP_CONTENT_LENGTH": true, "HTTP_PROXY": true, "HTTP_TRANSFER_ENCODING": true}
	for name, value := range r.Headers {
		key, ok := variable(name)
		if !ok || seen[key] {
			continue
		}
		seen[key] = true
		text := textOf(value)
		if len(vars)+len(key)+len(text) > maxVars-8 {
			return nil, errVars
		}
		vars = uwsgi.AppendVar(vars, key, text)
	}
	return vars, nil
}

// variable is a header's name in the environ; names that could stand for another's are left out.
func variable(name string) (string, bool) {
	key := []byte("HTTP_")
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		case c == '-':
			c = '_'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		default:
			return "", false
		}
		key = append(key, c)
	}
	return string(key), len(name) > 0
}

// queryOf writes parameters as a query; each may be a list.
func queryOf(params map[string]any) string {
	values := url.Values{}
	for name, value := range params {
		switch value := value.(type) {
		case nil:
		case []any:
			for _, one := range value {
				values.Add(name, textOf(one))
			}
		default:
			values.Add(name, textOf(value))
		}
	}
	return values.Encode()
}

func textOf(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case bool:
		if value {
			return "True" // as Python's clients would have written it
		}
		return "False"
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

// errTooLong: the reply is complete, but there is more of the view's response.
var errTooLong = errors.New("gateway: the view's response is too long")

// readResponse turns a view's response into the reply.
func readResponse(r *bufio.Reader, method string, reply *zmq.Reply) error {
	response := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(response)
	response.SkipBody = method == http.MethodHead
	response.Header.SetNoDefaultContentType(true)
	var small *fasthttp.ErrSmallBuffer
	if err := response.ReadLimitBody(r, zmq.MaxMessage); errors.Is(err, fasthttp.ErrBodyTooLarge) || errors.As(err, &small) {
		problem(reply, 502, "the view's response, or its head, is too long")
		return errTooLong
	} else if err != nil {
		return errWorkerLost
	}
	reply.Status = response.StatusCode()
	given := map[string]string{}
	for key, value := range response.Header.All() {
		switch name := string(key); {
		case name == "Content-Length" || name == "Connection" || name == "Transfer-Encoding":
		case given[name] != "":
			given[name] += ", " + string(value)
		default:
			given[name] = string(value)
		}
	}
	maps.Copy(reply.Headers, given) // over what the request's headers gave
	body := response.Body()
	switch {
	case len(body) == 0:
	case json.Valid(body):
		reply.Payload = bytes.Clone(body)
	case utf8.Valid(body):
		text, err := json.Marshal(string(body))
		if err != nil {
			return err
		}
		reply.Payload = text
	default:
		problem(reply, 502, "the view's response is not text")
	}
	return nil
}

// closeZMQ answers what has been asked and takes no more.
func (g *Gateway) closeZMQ(timeout time.Duration) {
	g.peers.mu.Lock()
	for bind, listener := range g.peers.listeners {
		listener.Close()
		delete(g.peers.listeners, bind)
	}
	g.peers.mu.Unlock()
	g.peers.server.Close(timeout)
}
