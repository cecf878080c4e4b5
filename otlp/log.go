package otlp

import (
	"fmt"
	"os"
	"strings"
)

// log writes lines of the server's own.
type log struct{ to *os.File }

func (l *log) writef(format string, args ...any) {
	line := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")
	_, _ = l.to.WriteString(line + "\n") // there is no better place to say that the log is gone
}
