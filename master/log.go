package master

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"envoxyd/internal/logdate"
	"envoxyd/master/logging"
)

// datePrefix is put before each line of ours (--log-date); nil: nothing is. Like
// descriptor 2, it is the whole process's.
var datePrefix atomic.Pointer[logdate.Layout]

// through is what lines go through when the master owns the log; nil: they go to direct.
var through atomic.Pointer[logging.Log]

// direct is the log on descriptor 2.
var direct = logging.NewDirect()

// logf writes one line to the log.
func logf(format string, args ...any) {
	var line []byte
	if date := datePrefix.Load(); date != nil {
		line = append(date.Append(line, time.Now()), " - "...)
	}
	line = fmt.Appendf(line, format, args...)
	_, _ = logWriter().Write(append(line, '\n')) // neither fails
}

// logWriter takes whole lines.
func logWriter() io.Writer {
	if log := through.Load(); log != nil {
		return log
	}
	return direct
}

// logDated writes a line with the time in front, as uWSGI does for what operators look up.
func logDated(format string, args ...any) {
	if datePrefix.Load() == nil {
		format = time.Now().Format(time.ANSIC) + " - " + format // ctime's form has no percent sign
	}
	logf(format, args...)
}
