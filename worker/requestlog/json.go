package requestlog

import (
	"strconv"
	"time"

	"envoxyd/internal/logtext"
	"envoxyd/protocol/uwsgi"
)

// longestTexts is how much of a text that the client has chosen is in a record, bytes; the last
// one makes a record that a pipe takes in one piece, whatever the texts are.
var longestTexts = [...]int{8 << 10, 1 << 10, 300, 48}

// appendJSON appends the record as an object of JSON.
func (l *Line) appendJSON(dst []byte, r *Record) []byte {
	start := len(dst)
	for i, longest := range longestTexts {
		dst = appendObject(dst[:start], r, longest, i < len(longestTexts)-1)
		if !l.Whole || len(dst)-start <= maxLine {
			break
		}
	}
	return dst
}

// appendObject appends the record with texts of that length at most.
func appendObject(b []byte, r *Record, longest int, logvars bool) []byte {
	b = append(b, `{"time":"`...)
	b = time.Unix(0, r.End).AppendFormat(b, logtext.TimeLayout)
	if r.Status >= 500 {
		b = append(b, `","level":"error"`...)
	} else {
		b = append(b, `","level":"info"`...)
	}
	b = append(b, `,"source":"request"`...)
	b = appendNumber(b, "pid", int64(r.PID))
	b = appendNumber(b, "worker", int64(r.Worker))
	b = appendNumber(b, "core", int64(r.Core))
	b = appendText(b, longest, "method", r.Method)
	b = appendText(b, longest, "uri", r.URI)
	b = appendText(b, longest, "protocol", r.Proto)
	b = appendNumber(b, "status", int64(r.Status))
	b = appendNumber(b, "bytes", r.Sent)
	b = appendMillis(b, "duration_ms", r.End-r.Start)
	b = appendMillis(b, "queue_ms", r.Queue)
	b = appendText(b, longest, "remote_addr", r.Addr)
	b = appendText(b, longest, "user", user(r))
	b = appendHeaders(b, r, longest)
	if r.ContentLength > 0 {
		b = appendNumber(b, "request_bytes", r.ContentLength)
	}
	if n := r.WriteErrors + r.ReadErrors; n > 0 {
		b = appendNumber(b, "io_errors", int64(n))
	}
	if logvars {
		b = appendLogvars(b, r.Logvars)
	}
	return append(b, "}\n"...)
}

// appendHeaders appends what the request's variables say, in one pass over them.
func appendHeaders(b []byte, r *Record, longest int) []byte {
	var hostName, server, agent, referer, parent []byte
	for block := r.Block; len(block) > 0; {
		key, value, rest, err := uwsgi.Next(block)
		if err != nil {
			break
		}
		switch string(key) {
		case "HTTP_HOST":
			hostName = value
		case "SERVER_NAME":
			server = value
		case "HTTP_USER_AGENT":
			agent = value
		case "HTTP_REFERER":
			referer = value
		case "HTTP_TRACEPARENT":
			parent = value
		}
		block = rest
	}
	if len(hostName) == 0 {
		hostName = server
	}
	b = appendText(b, longest, "host", hostName)
	b = appendText(b, longest, "user_agent", agent)
	b = appendText(b, longest, "referer", referer)
	if trace, span := traceOf(parent); trace != nil {
		b = appendText(b, longest, "trace_id", trace)
		b = appendText(b, longest, "parent_id", span)
	}
	return b
}

// appendLogvars appends what the application has set; the last value of a name counts.
func appendLogvars(b, logvars []byte) []byte {
	before := len(b)
	for block := logvars; len(block) > 0; {
		key, value, rest, err := uwsgi.Next(block)
		if err != nil {
			break
		}
		block = rest
		if _, again := uwsgi.Last(block, key); again {
			continue
		}
		if len(b) == before {
			b = append(b, `,"logvars":{"`...)
		} else {
			b = append(b, `,"`...)
		}
		b = append(logtext.AppendJSON(b, key), `":"`...)
		b = append(logtext.AppendJSON(b, value), '"')
	}
	if len(b) > before {
		b = append(b, '}')
	}
	return b
}

func appendName(b []byte, name string) []byte {
	return append(append(append(b, `,"`...), name...), `":`...)
}

// appendText appends a member, unless the text is empty.
func appendText(b []byte, longest int, name string, text []byte) []byte {
	if len(text) == 0 {
		return b
	}
	b = append(appendName(b, name), '"')
	return append(logtext.AppendJSON(b, text[:min(len(text), longest)]), '"')
}

func appendNumber(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(b, name), n, 10)
}

// appendMillis appends nanoseconds as milliseconds, to the microsecond.
func appendMillis(b []byte, name string, nanos int64) []byte {
	micros := max(nanos, 0) / 1e3
	b = strconv.AppendInt(appendName(b, name), micros/1e3, 10)
	if rest := micros % 1e3; rest > 0 {
		b = append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
	return b
}
