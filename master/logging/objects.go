package logging

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"envoxyd/internal/logtext"
)

// Sources of records, where it is not the role of a process.
const (
	sourceMaster  = "master"
	sourceApp     = "app"
	sourceRequest = "request"
)

// appendObject appends a record as an object of JSON on a line of its own.
func appendObject(dst []byte, r *record, who sender) []byte {
	text := withoutEnd(r.text)
	if object := objectIn(text); object != nil {
		return appendMerged(dst, object, r, who)
	}
	dst = append(dst, '{')
	dst = appendTime(dst, r)
	dst = append(dst, `,"level":"`...)
	dst = append(dst, levelOf(r)...)
	dst = append(dst, '"', ',')
	dst = appendSource(dst, r, who)
	dst = append(dst, `,"msg":"`...)
	dst = logtext.AppendJSON(dst, text)
	dst = append(dst, '"')
	if len(text) == len(r.text) && r.kind == foreign {
		dst = append(dst, `,"partial":true`...)
	}
	return append(dst, "}\n"...)
}

func appendTime(dst []byte, r *record) []byte {
	return append(r.at.AppendFormat(append(dst, `"time":"`...), logtext.TimeLayout), '"')
}

// appendSource appends who has written a record: members that are never the application's.
func appendSource(dst []byte, r *record, who sender) []byte {
	dst = append(append(append(dst, `"source":"`...), sourceOf(r, who)...), '"')
	if r.pid > 0 {
		dst = strconv.AppendInt(append(dst, `,"pid":`...), int64(r.pid), 10)
	}
	if who.number > 0 {
		dst = strconv.AppendInt(append(append(append(dst, ',', '"'), who.role...), `":`...), int64(who.number), 10)
	}
	return dst
}

func sourceOf(r *record, who sender) string {
	switch {
	case r.kind == request:
		return sourceRequest
	case r.kind == own && r.source == sourceApp: // the server's part of the application's process
		if who.role == "" {
			return "worker"
		}
		return who.role
	}
	return r.source
}

// objectIn returns the object of JSON that a text consists of, on one line and in UTF-8; nil: it is none.
func objectIn(text []byte) []byte {
	text = bytes.TrimSpace(text)
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' || !json.Valid(text) {
		return nil
	}
	if bytes.ContainsAny(text, "\n\r") {
		var line bytes.Buffer
		if json.Compact(&line, text) != nil {
			return nil
		}
		text = line.Bytes()
	}
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\ufffd"))
	}
	return text
}

// splitObjects makes a record of each line that is an object of JSON; lines between such stay together.
func splitObjects(r *record, use func(r *record)) {
	if bytes.IndexByte(withoutEnd(r.text), '\n') < 0 || objectIn(withoutEnd(r.text)) != nil {
		use(r)
		return
	}
	piece := *r
	start, end := 0, 0
	others := func() {
		if start < end {
			piece.text = r.text[start:end]
			use(&piece)
		}
	}
	for line := range bytes.Lines(r.text) {
		if objectIn(withoutEnd(line)) != nil {
			others()
			piece.text = line
			use(&piece)
			start = end + len(line)
		}
		end += len(line)
	}
	others()
}

// appendMerged passes on an object with the members that it lacks.
func appendMerged(dst, object []byte, r *record, who sender) []byte {
	has := meaningful(object)
	dst = append(dst, '{')
	if has.time != nil {
		dst = append(append(dst, `"time":`...), has.time...)
	} else {
		dst = appendTime(dst, r)
	}
	level := levelInfo
	if has.level != nil {
		level, _ = levelNamed(has.level)
	}
	dst = append(append(append(dst, `,"level":"`...), level...), '"', ',')
	dst = appendSource(dst, r, who)
	if msg := has.text(); msg != nil {
		dst = append(append(dst, `,"msg":`...), msg...)
	}
	members(object, func(key string, raw, value []byte) {
		switch {
		case !reserved(key):
			dst = append(append(dst, ','), raw...)
		case has.holds(value) || sameSource(key, value, r, who): // it is there already
			return
		default:
			dst = append(append(append(dst, `,"app_`...), key...), '"')
		}
		dst = append(append(dst, ':'), value...)
	})
	return append(dst, "}\n"...)
}

// sameSource tells whether a member says what appendSource has said.
func sameSource(key string, value []byte, r *record, who sender) bool {
	switch key {
	case "source":
		return string(value) == `"`+sourceOf(r, who)+`"`
	case "pid":
		return r.pid > 0 && string(value) == strconv.Itoa(int(r.pid))
	}
	return key == who.role && string(value) == strconv.Itoa(who.number)
}

func reserved(key string) bool {
	switch key {
	case "time", "level", "msg", "source", "pid", "worker", "mule", "spooler":
		return true
	}
	return false
}

// meanings are the members of an object that mean what ours would; nil: there is none.
type meanings struct{ time, level, msg, message []byte }

// text is what stands for msg.
func (m *meanings) text() []byte {
	if m.msg != nil {
		return m.msg
	}
	return m.message
}

// holds tells whether a member's value is one of those that stand under our names.
func (m *meanings) holds(value []byte) bool {
	same := func(one []byte) bool { return one != nil && &one[0] == &value[0] }
	return same(m.time) || same(m.level) || same(m.msg)
}

// meaningful finds the first members of an object that can be taken as time, level and msg.
func meaningful(object []byte) (m meanings) {
	members(object, func(key string, _, value []byte) {
		switch {
		case key == "time" && m.time == nil:
			if _, err := time.Parse(`"`+time.RFC3339+`"`, string(value)); err == nil {
				m.time = value
			}
		case key == "level" && m.level == nil:
			if _, known := levelNamed(value); known {
				m.level = value
			}
		case value[0] != '"':
		case key == "msg" && m.msg == nil:
			m.msg = value
		case (key == "message" || key == "short_message" || key == "event") && m.message == nil:
			m.message = value
		}
	})
	return m
}

// members calls use for each member of an object of valid JSON on one line. raw is the key as it is written.
func members(object []byte, use func(key string, raw, value []byte)) {
	rest := object[1 : len(object)-1]
	for {
		rest = bytes.TrimLeft(rest, " \t,")
		if len(rest) == 0 {
			return
		}
		raw := rest[:valueLength(rest)]
		rest = bytes.TrimLeft(rest[len(raw):], " \t:")
		value := rest[:valueLength(rest)]
		rest = rest[len(value):]
		key := string(raw[1 : len(raw)-1])
		if bytes.IndexByte(raw, '\\') >= 0 {
			_ = json.Unmarshal(raw, &key) // it is valid
		}
		use(key, raw, value)
	}
}

// valueLength is the length of the value that valid JSON begins with.
func valueLength(text []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			if quoted = !quoted; !quoted && depth == 0 {
				return i + 1
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c == ':' || c == ' ' || c == '\t'):
			return i
		}
	}
	return len(text)
}
