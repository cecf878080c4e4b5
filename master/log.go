package master

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/logdate"
	"envoxyd/uwsgiopts"
)

// datePrefix is put before each line of ours (--log-date); nil: nothing is. Like
// descriptor 2, it is the whole process's.
var datePrefix atomic.Pointer[logdate.Layout]

// logf writes one line to the log, which is descriptor 2 in every process of ours.
func logf(format string, args ...any) {
	var line []byte
	if date := datePrefix.Load(); date != nil {
		line = append(date.Append(line, time.Now()), " - "...)
	}
	line = fmt.Appendf(line, format, args...)
	_, _ = os.Stderr.Write(append(line, '\n')) // there is no better place to say that the log is gone
}

// logDated writes a line with the time in front, as uWSGI does for what operators look up.
func logDated(format string, args ...any) {
	if datePrefix.Load() == nil {
		format = time.Now().Format(time.ANSIC) + " - " + format // ctime's form has no percent sign
	}
	logf(format, args...)
}

// openLog puts the file of --logto or --logto2 in the place of stdout and stderr,
// and makes each line begin as --log-date says.
func openLog(cfg *uwsgiopts.Config) error {
	if cfg.LogDate != "" {
		date, err := logdate.Parse(cfg.LogDate)
		if err != nil {
			return err
		}
		datePrefix.Store(&date)
	}
	name, base := cfg.Logto, cfg.StartDir
	if name == "" {
		name = cfg.Logto2
	}
	if name == "" {
		return nil
	}
	return redirect(absolute(base, name))
}

func redirect(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	defer file.Close()
	for _, fd := range []int{1, 2} {
		if err := unix.Dup3(int(file.Fd()), fd, 0); err != nil {
			return fmt.Errorf("log file %s: %w", path, err)
		}
	}
	return nil
}

func absolute(base, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(base, name)
}
