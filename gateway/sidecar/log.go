package sidecar

import (
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Levels of log records, as the service's own log has them.
const (
	LevelError = 3
	LevelInfo  = 6
)

// record is a line of the log in the form of the service's records.
type record struct {
	Version   string `json:"version"`
	Host      string `json:"host"`
	Source    string `json:"source"`
	Message   string `json:"short_message"`
	Timestamp int64  `json:"timestamp"`
	Level     int    `json:"level"`
	PID       int    `json:"pid"`
	Exec      string `json:"exec"`
	File      string `json:"file"`
	Line      int    `json:"line"`
}

// Logger writes records up to a level, on standard error.
type Logger struct {
	program string
	level   atomic.Int32
	exec    atomic.Pointer[string]
	host    string
}

func newLogger(program string) *Logger {
	l := &Logger{program: program}
	l.level.Store(LevelInfo)
	exec := "MainProcess"
	l.exec.Store(&exec)
	l.host, _ = os.Hostname() // without one the field is empty
	return l
}

// Reconfigure takes level and name from the configuration.
func (l *Logger) Reconfigure(level int, exec string) {
	l.level.Store(int32(level))
	if exec != "" {
		l.exec.Store(&exec)
	}
}

// Write writes one record.
func (l *Logger) Write(level int, format string, args ...any) {
	if int32(level) > l.level.Load() {
		return
	}
	line, err := json.Marshal(record{"1.1", l.host, l.host, fmt.Sprintf(format, args...), time.Now().Unix(), level, os.Getpid(),
		*l.exec.Load(), l.program, 0})
	if err != nil {
		return
	}
	_, _ = os.Stderr.Write(append(line, '\n')) // there is no better place to say that the log is gone
}
