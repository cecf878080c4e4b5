package requestlog

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"envoxyd/internal/logdate"
	"envoxyd/internal/logtext"
)

// ltimeLayout is the date that web servers' logs have, as a time layout.
const ltimeLayout = "02/Jan/2006:15:04:05 -0700"

// Format is a compiled --log-format.
type Format struct{ segments []segment }

// segment is a piece of plain text (write is nil), or a variable.
type segment struct {
	text  string
	write func(b []byte, r *Record) []byte
}

// Compile takes a format apart at its %(name)s. A name that means nothing here
// is a logvar. date is the form of %(ftime); nil: that of %(ltime). In a format
// that is JSON, texts are escaped as the inside of its strings.
func Compile(format string, date *logdate.Layout) *Format {
	f := &Format{}
	escape := logtext.Append[[]byte]
	if isJSON(format) {
		escape = logtext.AppendJSON[[]byte]
	}
	for {
		plain, rest, some := strings.Cut(format, "%(")
		name, rest, whole := strings.Cut(rest, ")")
		if !some || !whole {
			f.segments = append(f.segments, segment{text: format + "\n"})
			return f
		}
		if plain != "" {
			f.segments = append(f.segments, segment{text: plain})
		}
		f.segments = append(f.segments, segment{write: writer(name, date, escape)})
		format = rest
	}
}

// isJSON tells whether a format makes an object of JSON, whatever its variables are, if those are numbers or in strings.
func isJSON(format string) bool {
	var example strings.Builder
	for {
		plain, rest, some := strings.Cut(format, "%(")
		_, rest, whole := strings.Cut(rest, ")")
		if !some || !whole {
			example.WriteString(format)
			break
		}
		example.WriteString(plain + "0")
		format = rest
	}
	text := strings.TrimSpace(example.String())
	return strings.HasPrefix(text, "{") && json.Valid([]byte(text))
}

// Append appends the line about r, with its newline, to b.
func (f *Format) Append(b []byte, r *Record) []byte {
	for i := range f.segments {
		if s := &f.segments[i]; s.write == nil {
			b = append(b, s.text...)
		} else {
			b = s.write(b, r)
		}
	}
	return b
}

// texts are the variables that are text of the request.
var texts = map[string]func(r *Record) []byte{
	"uri":     func(r *Record) []byte { return r.URI },
	"method":  func(r *Record) []byte { return r.Method },
	"user":    user,
	"addr":    func(r *Record) []byte { return r.Addr },
	"proto":   func(r *Record) []byte { return r.Proto },
	"host":    func(r *Record) []byte { return host(r.Block) },
	"uagent":  func(r *Record) []byte { return variable(r.Block, "HTTP_USER_AGENT") },
	"referer": func(r *Record) []byte { return variable(r.Block, "HTTP_REFERER") },
	"traceid": func(r *Record) []byte {
		trace, _ := traceOf(variable(r.Block, "HTTP_TRACEPARENT"))
		return trace
	},
	"parentid": func(r *Record) []byte {
		_, parent := traceOf(variable(r.Block, "HTTP_TRACEPARENT"))
		return parent
	},
}

// user is who the application says it is, else who the front end says.
func user(r *Record) []byte {
	if own := variable(r.Logvars, "user"); len(own) > 0 {
		return own
	}
	return r.User
}

var numbers = map[string]func(r *Record) int64{
	"status":      func(r *Record) int64 { return int64(r.Status) },
	"rsize":       func(r *Record) int64 { return r.Sent },
	"hsize":       func(r *Record) int64 { return int64(r.HeadSize) },
	"size":        func(r *Record) int64 { return r.Sent + int64(r.HeadSize) },
	"cl":          func(r *Record) int64 { return r.ContentLength },
	"vars":        func(r *Record) int64 { return int64(2 * r.Vars) },
	"pktsize":     func(r *Record) int64 { return int64(len(r.Block)) },
	"headers":     func(r *Record) int64 { return int64(r.Headers) },
	"modifier1":   func(r *Record) int64 { return int64(r.Modifier1) },
	"modifier2":   func(r *Record) int64 { return int64(r.Modifier2) },
	"msecs":       func(r *Record) int64 { return (r.End - r.Start) / 1e6 },
	"micros":      func(r *Record) int64 { return (r.End - r.Start) / 1e3 },
	"time":        func(r *Record) int64 { return r.Start / 1e9 },
	"epoch":       func(r *Record) int64 { return r.End / 1e9 },
	"tmsecs":      func(r *Record) int64 { return r.Start / 1e6 },
	"tmicros":     func(r *Record) int64 { return r.Start / 1e3 },
	"pid":         func(r *Record) int64 { return int64(r.PID) },
	"wid":         func(r *Record) int64 { return int64(r.Worker) },
	"core":        func(r *Record) int64 { return int64(r.Core) },
	"switches":    func(r *Record) int64 { return int64(r.Switches) },
	"vsz":         func(r *Record) int64 { return r.VSZ },
	"rss":         func(r *Record) int64 { return r.RSS },
	"vszM":        func(r *Record) int64 { return r.VSZ >> 20 },
	"rssM":        func(r *Record) int64 { return r.RSS >> 20 },
	"werr":        func(r *Record) int64 { return int64(r.WriteErrors) },
	"rerr":        func(r *Record) int64 { return int64(r.ReadErrors) },
	"queuemsecs":  func(r *Record) int64 { return r.Queue / 1e6 },
	"queuemicros": func(r *Record) int64 { return r.Queue / 1e3 },
	"ioerr":       func(r *Record) int64 { return int64(r.WriteErrors + r.ReadErrors) },
}

// writer finds out once what a name stands for.
func writer(name string, date *logdate.Layout, escape func(b, text []byte) []byte) func(b []byte, r *Record) []byte {
	appendOrDash := func(b, text []byte) []byte {
		if len(text) == 0 {
			return append(b, '-')
		}
		return escape(b, text)
	}
	if text := texts[name]; text != nil {
		return func(b []byte, r *Record) []byte { return appendOrDash(b, text(r)) }
	}
	if number := numbers[name]; number != nil {
		return func(b []byte, r *Record) []byte { return strconv.AppendInt(b, number(r), 10) }
	}
	if key, is := strings.CutPrefix(name, "var."); is {
		return func(b []byte, r *Record) []byte {
			text := variable(r.Block, key)
			if len(text) == 0 { // a response header that was kept as a variable
				text = variable(r.Logvars, key)
			}
			return appendOrDash(b, text)
		}
	}
	if key, is := strings.CutPrefix(name, "metric."); is {
		return func(b []byte, r *Record) []byte {
			if r.Metric != nil {
				if value, ok := r.Metric(key); ok {
					return strconv.AppendInt(b, value, 10)
				}
			}
			return append(b, '-')
		}
	}
	switch name {
	case "secs":
		return func(b []byte, r *Record) []byte {
			return strconv.AppendFloat(b, float64((r.End-r.Start)/1e3)/1e6, 'f', 6, 64)
		}
	case "ctime":
		return func(b []byte, r *Record) []byte { return time.Unix(0, r.Start).AppendFormat(b, time.ANSIC) }
	case "ftime":
		if date != nil {
			return func(b []byte, r *Record) []byte { return date.Append(b, time.Unix(0, r.Start)) }
		}
		fallthrough
	case "ltime":
		return func(b []byte, r *Record) []byte { return time.Unix(0, r.Start).AppendFormat(b, ltimeLayout) }
	}
	return func(b []byte, r *Record) []byte { return appendOrDash(b, variable(r.Logvars, name)) }
}
