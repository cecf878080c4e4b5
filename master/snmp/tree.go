package snmp

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"envoxyd/internal/shm"
	"envoxyd/master/stats"
	"envoxyd/uwsgiopts"
)

// oid names a variable.
type oid []uint32

// root is uWSGI's: below 1 are its own values, below 2 the application's, and the metrics are where their OIDs say.
var root = oid{1, 3, 6, 1, 4, 1, 35156, 17}

const (
	own         = 1
	application = 2
)

// variable is one that there is, or what stands in its place: tag tells.
type variable struct {
	name  oid
	tag   byte
	value uint64
}

// append appends the variable to a list in an answer.
func (v variable) append(to []byte) []byte {
	if v.name == nil { // of a request that is in error
		return to
	}
	content := appendOID(nil, v.name)
	switch shm.SNMPKind(v.tag) {
	case shm.SNMPCounter32, shm.SNMPGauge:
		content = appendUnsigned(content, v.tag, uint64(uint32(v.value)))
	case shm.SNMPCounter64:
		content = appendUnsigned(content, v.tag, v.value)
	default:
		content = appendValue(content, v.tag)
	}
	return appendValue(to, tagSequence, content...)
}

// tree is all variables, in order.
type tree []variable

// newTree has what uWSGI's has: the requests of all workers, what the application has set, and, where metrics are
// collected, these.
func newTree(s *stats.Snapshot, values *shm.SNMPValues) tree {
	t := tree{{below(own, 1), byte(shm.SNMPCounter64), s.Totals().Requests}}
	for number := 1; number <= shm.SNMPRoom; number++ {
		if kind, value := values.Get(number); kind != 0 {
			t = append(t, variable{below(application, uint32(number)), byte(kind), value})
		}
	}
	if s.ShowMetrics != nil {
		for _, m := range s.Metrics(*s.ShowMetrics) {
			if name := metricName(m.OID); name != nil {
				t = append(t, ofMetric(name, m))
			}
		}
	}
	slices.SortStableFunc(t, func(a, b variable) int { return slices.Compare(a.name, b.name) })
	return slices.CompactFunc(t, func(a, b variable) bool { return slices.Equal(a.name, b.name) })
}

func below(numbers ...uint32) oid { return slices.Concat(root, numbers) }

// metricName is where a metric is; nil: nowhere.
func metricName(text string) oid {
	name := slices.Clip(root)
	for part := range strings.SplitSeq(text, ".") {
		number, err := strconv.ParseUint(part, 10, 32)
		if err != nil || len(name) == mostSubIDs {
			return nil
		}
		name = append(name, uint32(number))
	}
	return name
}

// ofMetric has a gauge stop at the ends of what it can tell.
func ofMetric(name oid, m stats.Metric) variable {
	if m.Kind == uwsgiopts.Gauge {
		return variable{name, byte(shm.SNMPGauge), uint64(min(max(m.Value, 0), math.MaxUint32))}
	}
	return variable{name, byte(shm.SNMPCounter64), uint64(m.Value)}
}

// get finds a variable. One of the first hundred of uWSGI's and the application's is null when it has no value, as
// uWSGI has it.
func (t tree) get(name oid) (variable, bool) {
	at, found := t.find(name)
	if found {
		return t[at], true
	}
	if len(name) == len(root)+2 && slices.Equal(name[:len(root)], root) {
		table, number := name[len(root)], name[len(root)+1]
		if (table == own || table == application) && number >= 1 && number <= shm.SNMPRoom {
			return variable{name: name, tag: tagNull}, true
		}
	}
	return variable{}, false
}

// next finds the variable behind a name.
func (t tree) next(name oid) (variable, bool) {
	at, found := t.find(name)
	if found {
		at++
	}
	if at == len(t) {
		return variable{}, false
	}
	return t[at], true
}

func (t tree) find(name oid) (at int, found bool) {
	return slices.BinarySearchFunc(t, name, func(v variable, name oid) int { return slices.Compare(v.name, name) })
}
