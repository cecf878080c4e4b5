// Package layout writes down for Python what it shares with Go: the memory of internal/shm
// and the frames of internal/gatewayspec. The Go declarations are the source.
package layout

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"unicode"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/latency"
	"envoxyd/internal/shm"
)

//go:generate go run ./gen ../../worker/python/envoxyd_worker/layouts.py

var structs = []struct {
	name  string
	tuple string // the class of what is unpacked; empty: none
	about string
	of    reflect.Type
}{
	{"CORE", "Core", "a core's line of the scoreboard", reflect.TypeFor[shm.Core]()},
	{"AUXILIARY", "Auxiliary", "the line of a mule or spooler", reflect.TypeFor[shm.Auxiliary]()},
	{"HEAD", "", "before all memory that worker/shared owns", reflect.TypeFor[shm.Head]()},
	{"METRIC", "", "a metric; the value of the first one is how many follow", reflect.TypeFor[shm.Metric]()},
	{"NOTE_HEAD", "", "before the text of a note", reflect.TypeFor[shm.NoteHead]()},
	{"PROGRESS_SLOT", "", "a worker's counter of the messages of a delivery", reflect.TypeFor[shm.ProgressSlot]()},
	{"FRAME_HEAD", "", "before a call to the gateway, and before its answer", reflect.TypeFor[gatewayspec.FrameHead]()},
	{"MESSAGE_HEAD", "", "before each message of a delivery", reflect.TypeFor[gatewayspec.MessageHead]()},
}

// A constant is an int, a string, or a byte.
var constants = []struct {
	about string
	names string
	are   []any
}{
	{"bytes behind all lines of the scoreboard, for each core; likewise for each mule and spooler", "CORE_TIMING AUXILIARY_TIMES", []any{shm.TimingSize, shm.AuxiliaryTimesSize}},
	{"states of a core", "ABSENT IDLE BUSY", []any{shm.Absent, shm.Idle, shm.Busy}},
	{"of the head of locks", "LOCKS_MAGIC", []any{shm.LocksMagic}},
	{"flags of a message", "RETAINED REPEATED", []any{gatewayspec.Retained, gatewayspec.Repeated}},
	{"what a handler answers for each message", "HANDLED FAILED ELSEWHERE LATER",
		[]any{byte(gatewayspec.Handled), byte(gatewayspec.Failed), byte(gatewayspec.Elsewhere), byte(gatewayspec.Later)}},
	{"cells of SNMP's values among the metrics: the first one, how many values; the kinds of values", "SNMP_FIRST SNMP_ROOM SNMP_COUNTER32 SNMP_GAUGE SNMP_COUNTER64",
		[]any{shm.SNMPFirst, shm.SNMPRoom, int(shm.SNMPCounter32), int(shm.SNMPGauge), int(shm.SNMPCounter64)}},
	{"variables of an event", "VAR_KIND VAR_SERVER VAR_SLOT VAR_OWNER VAR_NAMES VAR_SHARED",
		[]any{gatewayspec.VarKind, gatewayspec.VarServer, gatewayspec.VarSlot, gatewayspec.VarOwner, gatewayspec.VarNames, gatewayspec.VarShared}},
}

const head = `"""What Python and Go share: memory, frames, and constants.

Written by internal/layout from the declarations in Go. Do not edit: ` + "`make docs`" + ` writes it.
"""
from collections import namedtuple
from struct import Struct
`

// Python is the module layouts.py.
func Python() ([]byte, error) {
	var to bytes.Buffer
	to.WriteString(head)
	for _, s := range structs {
		format, fields, err := describe(s.of)
		if err != nil {
			return nil, err
		}
		if s.tuple == "" {
			fmt.Fprintf(&to, "\n# %s: %s\n%s = Struct(%q)\n", s.about, strings.Join(fields, ", "), s.name, format)
		} else {
			fmt.Fprintf(&to, "\n# %s\n%s = Struct(%q)\n", s.about, s.name, format)
			fmt.Fprintf(&to, "%s = namedtuple(%q, \"\"\"\n    %s\n\"\"\")\n", s.tuple, s.tuple, strings.Join(fields, "\n    "))
		}
	}
	for _, c := range constants {
		fmt.Fprintf(&to, "\n# %s\n", c.about)
		for i, name := range strings.Fields(c.names) {
			text := fmt.Sprintf("%#v", c.are[i])
			if mark, is := c.are[i].(byte); is {
				text = fmt.Sprintf("b%q", string(rune(mark)))
			}
			fmt.Fprintf(&to, "%s = %s\n", name, text)
		}
	}
	writeBounds(&to)
	return to.Bytes(), nil
}

// writeBounds writes where the buckets of histograms begin.
func writeBounds(to *bytes.Buffer) {
	to.WriteString("\n# a histogram is a count for each bucket, the sum and the maximum; lower bounds of the buckets from the second one on, in nanoseconds\nBUCKET_BOUNDS = (")
	for i, bound := range latency.Bounds() {
		separator := " "
		if i%8 == 0 {
			separator = "\n    "
		}
		fmt.Fprintf(to, "%s%d,", separator, bound)
	}
	to.WriteString("\n)\n")
}

// codes are the struct module's names of types.
var codes = map[reflect.Type]string{
	reflect.TypeFor[uint8]():         "B",
	reflect.TypeFor[uint16]():        "H",
	reflect.TypeFor[uint32]():        "I",
	reflect.TypeFor[atomic.Uint32](): "I",
	reflect.TypeFor[atomic.Uint64](): "Q",
	reflect.TypeFor[atomic.Int64]():  "q",
}

// describe returns the format and the fields' names of a struct. Fields called _ are skipped over.
func describe(t reflect.Type) (format string, fields []string, err error) {
	var to strings.Builder
	to.WriteByte('<') // nothing is between fields but what is written
	offset := uintptr(0)
	for field := range t.Fields() {
		if gap := field.Offset - offset; gap > 0 {
			fmt.Fprintf(&to, "%dx", gap)
		}
		offset = field.Offset + field.Type.Size()
		code := codes[field.Type]
		if array := field.Type; array.Kind() == reflect.Array && array.Elem().Kind() == reflect.Uint8 {
			code = fmt.Sprintf("%ds", array.Len())
		}
		switch {
		case code == "":
			return "", nil, fmt.Errorf("%v.%s: no code for %v", t, field.Name, field.Type)
		case field.Name == "_":
			fmt.Fprintf(&to, "%dx", field.Type.Size())
		default:
			to.WriteString(code)
			fields = append(fields, snake(field.Name))
		}
	}
	if gap := t.Size() - offset; gap > 0 {
		fmt.Fprintf(&to, "%dx", gap)
	}
	return to.String(), fields, nil
}

// snake turns UserDeadline into user_deadline, and QoS into qos.
func snake(name string) string {
	var to strings.Builder
	before := ' '
	for _, r := range strings.ReplaceAll(name, "QoS", "Qos") {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			to.WriteByte('_')
		}
		to.WriteRune(unicode.ToLower(r))
		before = r
	}
	return to.String()
}
