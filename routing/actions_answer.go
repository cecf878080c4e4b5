package routing

import (
	"errors"
	"fmt"
	"strconv"
)

// answerActions end the request with an answer.
var answerActions = map[string]builder{
	"break":              breakAction,
	"return":             returnAction,
	"break-with-status":  returnAction,
	"redirect":           redirectAction("302 Found", "Moved"),
	"redirect-302":       redirectAction("302 Found", "Moved"),
	"redirect-permanent": redirectAction("301 Moved Permanently", "Moved Permanently"),
	"redirect-301":       redirectAction("301 Moved Permanently", "Moved Permanently"),
}

// answer ends the request with an answer.
func (r *Request) answer(a *Answer) outcome {
	r.verdict = Verdict{Kind: Break, Answer: a}
	return end
}

// fail ends the request with a status that tells of an error.
func (r *Request) fail(status string) outcome {
	text := reason(status)
	return r.answer(&Answer{
		Status: status + " " + text, Headers: []string{"Connection: close", "Content-Type: text/plain"},
		Body: []byte(text), Close: true,
	})
}

// finished is the verdict of a stage, unless a rule has answered already and let the others run.
func (r *Request) finished(v Verdict) Verdict {
	if r.sent != nil {
		v = Verdict{Kind: Break, Answer: r.sent}
		r.sent = nil
	}
	return v
}

// status makes an action of an answer that has the argument's status. It is made once, if the argument is the same for
// all requests.
func (c *compiler) status(argument string, answer func(status string) *Answer) (action, error) {
	text := c.template(argument)
	if text.constant != nil {
		status, valid := statusLine(text.constant)
		if !valid {
			return nil, fmt.Errorf("%q is not a status: three digits from 200 on, and perhaps a blank and a reason", argument)
		}
		fixed := answer(status)
		return func(r *Request) outcome { return r.answer(fixed) }, nil
	}
	return func(r *Request) outcome {
		status, valid := statusLine(text.look(r))
		if !valid {
			r.log(fmt.Sprintf("%q is not a status", text.look(r)))
			return r.fail("500")
		}
		return r.answer(answer(status))
	}, nil
}

func breakAction(c *compiler, argument string) (action, error) {
	if argument == "" {
		return func(r *Request) outcome { r.verdict = Verdict{Kind: Close}; return end }, nil
	}
	return c.status(argument, func(status string) *Answer {
		return &Answer{Status: status, Headers: []string{"Connection: close", "Content-Type: text/plain"}, Close: true}
	})
}

func returnAction(c *compiler, argument string) (action, error) {
	if argument == "" {
		return nil, errors.New("it needs a status")
	}
	return c.status(argument, func(status string) *Answer {
		body := status[4:]
		return &Answer{
			Status: status, Headers: []string{"Content-Type: text/plain", "Content-Length: " + strconv.Itoa(len(body))}, Body: []byte(body),
		}
	})
}

// redirectAction sends the client elsewhere. Control bytes of the place are percent-encoded: it may be made of a path
// whose percent signs were read.
func redirectAction(status, body string) builder {
	return func(c *compiler, argument string) (action, error) {
		place := c.template(argument)
		answer := func(to []byte) *Answer {
			return &Answer{Status: status, Headers: []string{string(appendEscaped([]byte("Location: "), to, isControlOrTab))}, Body: []byte(body)}
		}
		if place.constant != nil {
			fixed := answer(place.constant)
			return func(r *Request) outcome { return r.answer(fixed) }, nil
		}
		return func(r *Request) outcome { return r.answer(answer(place.look(r))) }, nil
	}
}

func isControlOrTab(b byte) bool { return isControl(b) || b == '\t' }
