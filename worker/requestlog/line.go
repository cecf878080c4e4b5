// Package requestlog writes the line that the log gets about each request:
// uWSGI's own, or what --log-format asks for. It allocates nothing but the line.
package requestlog

import (
	"strconv"
	"time"

	"envoxyd/internal/logdate"
	"envoxyd/internal/logtext"
	"envoxyd/protocol/uwsgi"
)

// maxLine is the largest line, in bytes, that a pipe takes in one piece.
const maxLine = 4096

// Record is what there is to say about one request. Times are unix nanoseconds,
// sizes bytes. The slices are only read.
type Record struct {
	PID, Worker, Core              int
	App                            int    // -1: no application was asked
	AppRequests, Total             uint64 // of this process, of all workers
	Addr, User, Method, URI, Proto []byte
	Block                          []byte                                   // the request's variables
	Metric                         func(name string) (value int64, ok bool) // nil: none are kept
	Vars                           int                                      // how many there are
	Logvars                        []byte                                   // uwsgi.set_logvar's, as a block of variables
	Start, End                     int64
	Queue                          int64 // from the arrival of the request to its start
	Status, Headers, HeadSize      int
	Sent                           int64 // of the body
	ContentLength                  int64
	Switches                       int
	Via                            string // "", " via sendfile()" or " via offload()"
	WriteErrors, ReadErrors        int
	Modifier1, Modifier2           byte
	VSZ, RSS, USS, PSS             int64 // only with --memory-report
}

// Line is how the line is written.
type Line struct {
	JSON   bool    // an object for each request
	Whole  bool    // such an object is no longer than what a pipe takes in one piece
	Short  bool    // for a person
	Color  bool    // of a short line
	Micros bool    // durations in microseconds
	Memory int     // --memory-report: 1, or 2 for uss and pss too
	Host   bool    // --vhost
	Format *Format // nil: uWSGI's own line
}

// New returns the line that the options ask for. date counts with strftime only.
func New(format string, strftime bool, date string) (*Line, error) {
	if format == "" {
		return &Line{}, nil
	}
	var layout *logdate.Layout
	if strftime && date != "" && date != "true" {
		parsed, err := logdate.Parse(date)
		if err != nil {
			return nil, err
		}
		layout = &parsed
	}
	return &Line{Format: Compile(format, layout)}, nil
}

// Append appends the line about r, with its newline, to dst.
func (l *Line) Append(dst []byte, r *Record) []byte {
	if l.Format != nil {
		return l.Format.Append(dst, r)
	}
	switch {
	case l.JSON:
		return l.appendJSON(dst, r)
	case l.Short:
		return appendShort(dst, r, l.Color)
	}
	start := len(dst)
	dst = l.appendOwn(dst, r, r.Addr, r.Method, r.URI)
	if len(dst)-start > maxLine { // as uWSGI does: a line that is torn in two is worse than one without its address
		dst = l.appendOwn(dst[:start], r, []byte("0.0.0.0"), []byte("-"), []byte("-"))
	}
	return dst
}

func (l *Line) appendOwn(b []byte, r *Record, addr, method, uri []byte) []byte {
	if l.Memory > 0 {
		b = l.appendMemory(b, r)
	}
	if l.Host {
		b = logtext.Append(b, host(r.Block))
		b = append(b, ' ')
	}
	b = append(b, "[pid: "...)
	b = strconv.AppendInt(b, int64(r.PID), 10)
	b = append(b, "|app: "...)
	b = strconv.AppendInt(b, int64(r.App), 10)
	b = append(b, "|req: "...)
	if r.App < 0 {
		b = append(b, "-1"...)
	} else {
		b = strconv.AppendUint(b, r.AppRequests, 10)
	}
	b = append(b, '/')
	b = strconv.AppendUint(b, r.Total, 10)
	b = append(b, "] "...)
	b = logtext.Append(b, addr)
	b = append(b, " ("...)
	b = logtext.Append(b, r.User)
	b = append(b, ") {"...)
	b = strconv.AppendInt(b, int64(2*r.Vars), 10)
	b = append(b, " vars in "...)
	b = strconv.AppendInt(b, int64(len(r.Block)), 10)
	b = append(b, " bytes} ["...)
	b = time.Unix(0, r.Start).AppendFormat(b, time.ANSIC)
	b = append(b, "] "...)
	b = logtext.Append(b, method)
	b = append(b, ' ')
	b = logtext.Append(b, uri)
	b = append(b, " => generated "...)
	b = strconv.AppendInt(b, r.Sent, 10)
	b = append(b, " bytes in "...)
	if l.Micros {
		b = strconv.AppendInt(b, (r.End-r.Start)/1e3, 10)
		b = append(b, " micros"...)
	} else {
		b = strconv.AppendInt(b, (r.End-r.Start)/1e6, 10)
		b = append(b, " msecs"...)
	}
	b = append(b, r.Via...)
	b = append(b, " ("...)
	b = logtext.Append(b, r.Proto)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, ") "...)
	b = strconv.AppendInt(b, int64(r.Headers), 10)
	b = append(b, " headers in "...)
	b = strconv.AppendInt(b, int64(r.HeadSize), 10)
	b = append(b, " bytes ("...)
	b = strconv.AppendInt(b, int64(r.Switches), 10)
	b = append(b, " switches on core "...)
	b = strconv.AppendInt(b, int64(r.Core), 10)
	return append(b, ")\n"...)
}

func (l *Line) appendMemory(b []byte, r *Record) []byte {
	b = appendUsage(b, "address space usage", r.VSZ)
	b = appendUsage(b, "rss usage", r.RSS)
	if l.Memory > 1 {
		b = appendUsage(b, "uss usage", r.USS)
		b = appendUsage(b, "pss usage", r.PSS)
	}
	return b
}

func appendUsage(b []byte, name string, size int64) []byte {
	b = append(b, '{')
	b = append(b, name...)
	b = append(b, ": "...)
	b = strconv.AppendInt(b, size, 10)
	b = append(b, " bytes/"...)
	b = strconv.AppendInt(b, size>>20, 10)
	return append(b, "MB} "...)
}

// variable returns the last variable of that name in a block, as the application sees it.
func variable(block []byte, name string) (found []byte) {
	found, _ = uwsgi.Last(block, name)
	return found
}

func host(block []byte) []byte {
	if name := variable(block, "HTTP_HOST"); len(name) > 0 {
		return name
	}
	return variable(block, "SERVER_NAME")
}
