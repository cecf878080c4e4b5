package master

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"envoxyd/master/logging"
)

// through is what lines go through when the master owns the log; nil: they go to direct.
var through atomic.Pointer[logging.Log]

// direct is the log on descriptor 2.
var direct = logging.NewDirect()

// logf writes one line to the log.
func logf(format string, args ...any) {
	_, _ = logWriter().Write(append(fmt.Appendf(nil, format, args...), '\n')) // neither fails
}

// logWriter takes whole lines.
func logWriter() io.Writer {
	if log := through.Load(); log != nil {
		return log
	}
	return direct
}

// logDated writes a line with the time in front, as uWSGI does for what operators look up.
func logDated(format string, args ...any) { logf(dated(format), args...) }

// dated is a format with the time in front, unless all lines have it.
func dated(format string) string {
	if s := direct.Style(); s.Plain() {
		format = time.Now().Format(time.ANSIC) + " - " + format // ctime's form has no percent sign
	}
	return format
}
