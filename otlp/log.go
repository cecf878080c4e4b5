package otlp

import (
	"fmt"
	"os"
	"strings"
	"time"

	"envoxyd/internal/logdate"
)

// log writes lines of the server's own.
type log struct {
	to   *os.File
	date *logdate.Layout // nil: lines have none
}

func (l *log) writef(format string, args ...any) {
	var line []byte
	if l.date != nil {
		line = append(l.date.Append(line, time.Now()), " - "...)
	}
	line = append(line, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")...)
	_, _ = l.to.Write(append(line, '\n')) // there is no better place to say that the log is gone
}
