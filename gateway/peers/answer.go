package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"envoxyd/gateway/sidecar"
	"envoxyd/internal/gatewayspec"
	"envoxyd/protocol/m2m"
	"envoxyd/protocol/uwsgi"
	"envoxyd/transports/zmq"
)

// question is a peer's request as a worker gets it.
type question struct {
	method, resource string
	vars, body       []byte
	reply            m2m.Reply
	lost             int // workers that have ended before they answered
}

// prepare reads a peer's request. If it is none, the reply is returned.
func prepare(asked *zmq.Request) (*question, []byte) {
	q := &question{reply: m2m.Reply{Protocol: "M2M", Performative: m2m.PerformativeReply, Headers: map[string]string{}}}
	var request m2m.Request
	if err := json.Unmarshal(asked.Text, &request); err != nil {
		return nil, encodeReply(problem(&q.reply, 400, "the request is not a JSON object of performative, resource, headers, params, payload"))
	}
	q.resource, q.reply.Resource = request.Resource, request.Resource
	for name, value := range request.Headers {
		if strings.EqualFold(name, "X-Cid") {
			q.reply.Headers["X-Cid"] = textOf(value)
		}
	}
	var ok bool
	if q.method, ok = request.Method(); !ok {
		return nil, encodeReply(problem(&q.reply, 400, fmt.Sprintf("performative %q is not a request's", request.Performative.String())))
	}
	if string(request.Payload) != "null" {
		q.body = request.Payload
	}
	var err error
	if q.vars, err = requestVars(&request, q.method, len(q.body), asked); err != nil {
		return nil, encodeReply(problem(&q.reply, 431, err.Error()))
	}
	return q, nil
}

// answer has a view answer a peer's request.
func (p *peers) answer(ctx context.Context, asked *zmq.Request) []byte {
	q, refusal := prepare(asked)
	if refusal != nil {
		return refusal
	}
	return p.deliver(ctx, q)
}

// deliver has a worker answer. One that dies before it has begun to has perhaps done nothing yet;
// only what may be done twice is asked of another.
func (p *peers) deliver(ctx context.Context, q *question) []byte {
	for {
		err := p.Workers.Deliver(ctx, gatewayspec.EndsAsHTTP, q.vars, q.body, q.read)
		if reply, is := p.outcome(ctx, q, err); is {
			return reply
		}
	}
}

func (q *question) read(r *bufio.Reader) error { return readResponse(r, q.method, &q.reply) }

// outcome is the reply after a delivery that has ended with err, nil for none; false: it is to be delivered again.
func (p *peers) outcome(ctx context.Context, q *question, err error) (reply []byte, is bool) {
	switch {
	case err == nil || errors.Is(err, errTooLong):
		return encodeReply(&q.reply), true
	case ctx.Err() != nil:
		return nil, true
	case !idempotent(q.method) || q.lost >= 2:
		p.Logf("[ZMQ] %s %s: the worker ended before it answered", q.method, q.resource)
		return encodeReply(problem(&q.reply, 502, "the worker ended before it answered")), true
	}
	q.lost++
	return nil, false
}

func idempotent(method string) bool {
	return method != "POST" && method != "PATCH" && method != "NOTIFY"
}

func problem(reply *m2m.Reply, status int, text string) *m2m.Reply {
	reply.Status = status
	payload, err := json.Marshal(map[string]any{"code": 0, "text": text})
	if err == nil {
		reply.Payload = payload
	}
	return reply
}

func encodeReply(reply *m2m.Reply) []byte {
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

// requestVars are a request's variables as HTTP would give them.
func requestVars(r *m2m.Request, method string, size int, asked *zmq.Request) ([]byte, error) {
	path, query, _ := strings.Cut(r.Resource, "?")
	if params := queryOf(r.Params); params != "" {
		query = strings.TrimPrefix(query+"&"+params, "&")
	}
	uri := (&url.URL{Path: path}).EscapedPath()
	if query != "" {
		uri += "?" + query
	}
	if len(method)+len(uri)+len(path)+len(query)+len(asked.User) > sidecar.MaxVars-1024 {
		return nil, sidecar.ErrVars
	}
	vars := sidecar.AppendVars(make([]byte, 0, 1024), [][2]string{
		{"REQUEST_METHOD", method}, {"REQUEST_URI", uri}, {"PATH_INFO", path}, {"QUERY_STRING", query}, {"SCRIPT_NAME", ""},
		{"SERVER_PROTOCOL", "HTTP/1.1"}, {"SERVER_NAME", "zmq"}, {"SERVER_PORT", "0"}, {"REMOTE_ADDR", asked.Peer},
		{"CONTENT_TYPE", "application/json"}, {"CONTENT_LENGTH", strconv.Itoa(size)}, {gatewayspec.VarKind, "zmq"},
	}...)
	if asked.User != "" {
		vars = uwsgi.AppendVar(vars, "REMOTE_USER", asked.User)
	}
	seen := map[string]bool{"HTTP_CONTENT_TYPE": true, "HTTP_CONTENT_LENGTH": true, "HTTP_PROXY": true, "HTTP_TRANSFER_ENCODING": true}
	for name, value := range r.Headers {
		key, ok := variable(name)
		if !ok || seen[key] {
			continue
		}
		seen[key] = true
		text := textOf(value)
		if len(vars)+len(key)+len(text) > sidecar.MaxVars-8 {
			return nil, sidecar.ErrVars
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
var errTooLong = errors.New("the view's response is too long")

// readResponse turns a view's response into the reply.
func readResponse(r *bufio.Reader, method string, reply *m2m.Reply) error {
	response := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(response)
	response.SkipBody = method == http.MethodHead
	response.Header.SetNoDefaultContentType(true)
	var small *fasthttp.ErrSmallBuffer
	if err := response.ReadLimitBody(r, m2m.MaxMessage); errors.Is(err, fasthttp.ErrBodyTooLarge) || errors.As(err, &small) {
		problem(reply, 502, "the view's response, or its head, is too long")
		return errTooLong
	} else if err != nil {
		return sidecar.ErrWorkerLost
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
