package routing

import (
	"bytes"
	"fmt"
	"strings"
)

// proxyActions have another server answer.
var proxyActions = map[string]builder{
	"http":       httpAction,
	"proxyhttp":  httpAction,
	"uwsgi":      uwsgiAction,
	"proxyuwsgi": uwsgiAction,
}

// httpAction is http:ADDRESS[,HOST[,TARGET]].
func httpAction(c *compiler, argument string) (action, error) {
	words := append(strings.SplitN(argument, ",", 3), "", "")
	if words[0] == "" {
		return nil, fmt.Errorf("it needs an address")
	}
	to, host, target := c.template(words[0]), c.template(words[1]), c.template(words[2])
	return func(r *Request) outcome {
		return r.forward(to, Proxy{Protocol: "http", Host: string(cut(host.look(r))), Target: string(target.look(r))})
	}, nil
}

// uwsgiAction is uwsgi:ADDRESS,MODIFIER1,MODIFIER2[,APPID]. Without an address the modifiers are for this server.
func uwsgiAction(c *compiler, argument string) (action, error) {
	words := strings.SplitN(argument, ",", 4)
	if len(words) < 3 {
		return nil, fmt.Errorf("%w: it is ADDRESS,MODIFIER1,MODIFIER2[,APPID]", errSyntax)
	}
	modifier1, err := numberUpTo(words[1], 255)
	if err != nil {
		return nil, err
	}
	modifier2, err := numberUpTo(words[2], 255)
	if err != nil {
		return nil, err
	}
	to, app := c.template(words[0]), (*template)(nil)
	if len(words) == 4 {
		app = c.template(words[3])
	}
	return func(r *Request) outcome {
		if app != nil {
			if out := r.put("UWSGI_APPID", app.text(r)); out != next {
				return out
			}
		}
		if words[0] == "" {
			r.Effects.Modifier1, r.Effects.Modifier2 = modifier1, modifier2
			return proceed
		}
		return r.forward(to, Proxy{Protocol: "uwsgi", Modifier1: byte(modifier1), Modifier2: byte(modifier2)})
	}, nil
}

// forward ends the request with another server's answer.
func (r *Request) forward(to *template, p Proxy) outcome {
	address := to.look(r)
	if len(address) == 0 || len(cut(address)) != len(address) || bytes.ContainsAny(address, " ,\t") {
		r.log(fmt.Sprintf("error routing request to %s server %q", p.Protocol, address))
		return r.fail("502")
	}
	p.Address = string(address)
	r.verdict = Verdict{Kind: Forward, Proxy: &p}
	return end
}

// metricActions are metricinc:NAME[,NUMBER] and its kin.
var metricActions = map[string]builder{
	"metricinc": metricAction(Add),
	"metricdec": metricAction(Subtract),
	"metricmul": metricAction(Multiply),
	"metricdiv": metricAction(Divide),
	"metricset": metricAction(Set),
}

func metricAction(op Operation) builder {
	return func(c *compiler, argument string) (action, error) {
		name, number, given := strings.Cut(argument, ",")
		if name == "" {
			return nil, fmt.Errorf("it needs the name of a metric")
		}
		if !given {
			number = "1"
		}
		metric, by := c.template(name), c.template(number)
		return func(r *Request) outcome {
			if !r.outside.MetricChange(string(metric.look(r)), op, leadingInt(by.look(r))) {
				r.log(fmt.Sprintf("there is no metric %q", metric.look(r)))
			}
			return next
		}, nil
	}
}
