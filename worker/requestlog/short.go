package requestlog

import (
	"strconv"
	"time"

	"envoxyd/internal/logtext"
)

// shortLayout is the time of day.
const shortLayout = "15:04:05"

// longestShown is how much of a URI is shown to a person, bytes.
const longestShown = 200

// appendShort appends the line about r for a person at a terminal.
func appendShort(b []byte, r *Record, color bool) []byte {
	paint := func(code string) {
		if color {
			b = append(append(append(b, "\x1b["...), code...), 'm')
		}
	}
	paint("2")
	b = time.Unix(0, r.Start).AppendFormat(b, shortLayout)
	paint("0")
	b = append(b, ' ')
	paint(statusColor(r.Status))
	b = strconv.AppendInt(b, int64(r.Status), 10)
	paint("0")
	b = logtext.Append(append(b, ' '), r.Method)
	b = logtext.Append(append(b, ' '), r.URI[:min(len(r.URI), longestShown)])
	if len(r.URI) > longestShown {
		b = append(b, "…"...)
	}
	paint("2")
	b = appendSize(append(b, ' '), r.Sent)
	b = strconv.AppendFloat(append(b, ' '), float64((r.End-r.Start)/1e5)/10, 'f', 1, 64)
	b = append(b, " ms"...)
	if queue := r.Queue / 1e6; queue > 0 {
		b = append(b, " (queue "...)
		b = append(strconv.AppendInt(b, queue, 10), " ms)"...)
	}
	b = append(b, r.Via...)
	paint("0")
	return append(b, '\n')
}

func appendSize(b []byte, size int64) []byte {
	switch {
	case size < 1000:
		return append(strconv.AppendInt(b, size, 10), " B"...)
	case size < 1e6:
		return append(strconv.AppendFloat(b, float64(size)/1e3, 'f', 1, 64), " kB"...)
	}
	return append(strconv.AppendFloat(b, float64(size)/1e6, 'f', 1, 64), " MB"...)
}

// statusColor is green for 2xx, cyan for 3xx, yellow for 4xx, red for the rest.
func statusColor(status int) string {
	switch status / 100 {
	case 2:
		return "32"
	case 3:
		return "36"
	case 4:
		return "33"
	}
	return "31"
}
