package logging

import (
	"bytes"
	"strconv"
	"strings"
)

// Levels of records.
const (
	levelDebug    = "debug"
	levelInfo     = "info"
	levelWarning  = "warning"
	levelError    = "error"
	levelCritical = "critical"
)

var levelNames = map[string]string{
	"trace": levelDebug, "debug": levelDebug, "info": levelInfo, "information": levelInfo, "notice": levelInfo,
	"warning": levelWarning, "warn": levelWarning, "error": levelError, "err": levelError, "exception": levelError,
	"critical": levelCritical, "crit": levelCritical, "fatal": levelCritical, "alert": levelCritical, "emergency": levelCritical,
}

// levelWords are words of a text that tell its level; those of the server's own lines, too.
var levelWords = map[string]string{
	"DEBUG": levelDebug, "INFO": levelInfo, "WARNING": levelWarning, "WARN": levelWarning, "ERROR": levelError,
	"CRITICAL": levelCritical, "FATAL": levelCritical,
}

var ownLevelWords = map[string]string{"WARNING": levelWarning, "DANGER": levelWarning, "ERROR": levelError, "DAMN": levelError, "HARAKIRI": levelError, "SIGPIPE": levelWarning}

// levelText is how far into a text a word is looked for, bytes.
const levelText = 96

// levelOf is the level of a record that is a text.
func levelOf(r *record) string {
	words := levelWords
	if r.kind == own {
		words = ownLevelWords
	}
	text := r.text[:min(len(r.text), levelText)]
	for len(text) > 0 {
		size := bytes.IndexFunc(text, func(c rune) bool { return c < 'A' || c > 'Z' })
		if size < 0 {
			size = len(text)
		}
		if level := words[string(text[:size])]; level != "" {
			return level
		}
		text = text[min(size+1, len(text)):]
	}
	if r.kind == foreign && holdsTraceback(r.text) {
		return levelError
	}
	return levelInfo
}

// levelNamed reads the value of a member "level": a name, or a number of syslog's or of Python's logging.
func levelNamed(value []byte) (string, bool) {
	if value[0] == '"' {
		name := levelNames[strings.ToLower(string(value[1:len(value)-1]))]
		return name, name != ""
	}
	n, err := strconv.Atoi(string(value))
	switch {
	case err != nil || n < 0 || n > 50:
		return "", false
	case n >= 50 || n <= 2:
		return levelCritical, true
	case n >= 40 || n == 3:
		return levelError, true
	case n >= 30 || n == 4:
		return levelWarning, true
	case n >= 20 || n == 5 || n == 6:
		return levelInfo, true
	}
	return levelDebug, true
}
