package routing

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// rpcActions call functions that the application has registered, or another server's.
var rpcActions = map[string]builder{
	"rpc":     rpcAction,
	"call":    rpcAction,
	"rpcret":  rpcReturnAction,
	"rpcnext": rpcNextAction,
	"rpcblob": rpcNextAction,
	"rpcvar":  rpcVarAction,
}

// call is FUNCTION[@SERVER] and arguments, with blanks between them.
type call struct {
	function, server string
	args             []*template
}

// maxArguments is what a call of uWSGI's has room for.
const maxArguments = 255

func parseCall(c *compiler, text string) (*call, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, errors.New("you need to specify an rpc function")
	}
	if len(words) > maxArguments+1 {
		return nil, fmt.Errorf("there are more than %d arguments", maxArguments)
	}
	f := &call{}
	f.function, f.server, _ = strings.Cut(words[0], "@")
	if f.function == "" {
		return nil, errors.New("you need to specify an rpc function")
	}
	c.waits()
	for _, word := range words[1:] {
		f.args = append(f.args, c.template(word))
	}
	return f, nil
}

func (f *call) do(r *Request) ([]byte, error) {
	args := make([][]byte, 0, len(f.args))
	for _, arg := range f.args {
		args = append(args, arg.text(r))
	}
	return r.outside.RPC(f.server, f.function, args)
}

// called makes an action of a call; a function that fails is a 500, and logged.
func called(c *compiler, text string, then func(r *Request, result []byte) outcome) (action, error) {
	f, err := parseCall(c, text)
	if err != nil {
		return nil, err
	}
	return func(r *Request) outcome {
		result, err := f.do(r)
		if err != nil {
			r.log(fmt.Sprintf("rpc %s: %v", f.function, err))
			return r.fail("500")
		}
		return then(r, result)
	}, nil
}

func rpcAction(c *compiler, argument string) (action, error) {
	return called(c, argument, func(r *Request, result []byte) outcome {
		return r.answer(&Answer{Status: "200 OK", Headers: []string{"Content-Length: " + strconv.Itoa(len(result))}, Body: result})
	})
}

// rpcReturnAction has a function decide: its first byte is 0 for the next rule, 1 for the application, 2 to close the
// connection, as it does when there is none; all else is the application.
func rpcReturnAction(c *compiler, argument string) (action, error) {
	return called(c, argument, func(r *Request, result []byte) outcome {
		switch {
		case len(result) == 0 || result[0] == 2:
			r.verdict = Verdict{Kind: Close}
			return end
		case result[0] == 0:
			return next
		}
		return proceed
	})
}

// rpcNextAction answers, and lets the other rules run; several answers are one after the other.
func rpcNextAction(c *compiler, argument string) (action, error) {
	return called(c, argument, func(r *Request, result []byte) outcome {
		if r.sent == nil {
			r.sent = &Answer{Status: "200 OK", Headers: []string{"Connection: close"}, Close: true}
		}
		r.sent.Body = append(r.sent.Body[:len(r.sent.Body):len(r.sent.Body)], result...)
		return next
	})
}

// rpcVarAction is rpcvar:NAME FUNCTION ARGUMENTS: the result becomes a variable. One that fails is empty, and logged.
func rpcVarAction(c *compiler, argument string) (action, error) {
	name, text, _ := strings.Cut(strings.TrimLeft(argument, " "), " ")
	if name == "" {
		return nil, errors.New("it needs the name of a variable")
	}
	f, err := parseCall(c, text)
	if err != nil {
		return nil, err
	}
	return func(r *Request) outcome {
		result, err := f.do(r)
		if err != nil {
			r.log(fmt.Sprintf("rpcvar %s: %v", f.function, err))
		}
		return r.put(name, r.keep(append(r.begin(), result...)))
	}, nil
}
