package postgres

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a slim container has no zones of its own

	"envoxyd/protocol/marshal"
)

// Python's date and time classes take the states that they are pickled by: building
// them so costs half of what numbers or text would.

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 24 * 60 * 60 * microsPerSecond
	epochDays       = 10957 // 1970-01-01 to PostgreSQL's epoch, 2000-01-01
)

var errYear = errors.New("a year that Python's dates cannot hold (1 to 9999)")

// civil is the date of a day counted from 2000-01-01, in the Gregorian calendar.
func civil(day int64) (year, month, dayOfMonth int) {
	// Eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
	shifted := day + epochDays + 719468
	era := shifted / 146097
	if shifted < 0 {
		era = (shifted - 146096) / 146097
	}
	dayOfEra := shifted - era*146097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shiftedMonth := (5*dayOfYear + 2) / 153
	dayOfMonth = int(dayOfYear - (153*shiftedMonth+2)/5 + 1)
	month = int(shiftedMonth) + 3
	year = int(yearOfEra + era*400)
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, dayOfMonth
}

func appendDate(to []byte, day int64) ([]byte, error) {
	if day < -800_000 || day > 3_000_000 { // civil's numbers stay small
		return to, errYear
	}
	year, month, dayOfMonth := civil(day)
	if year < 1 || year > 9999 {
		return to, errYear
	}
	return append(to, byte(year>>8), byte(year), byte(month), byte(dayOfMonth)), nil
}

func appendClock(to []byte, micros int64) []byte {
	seconds, fraction := micros/microsPerSecond, micros%microsPerSecond
	return append(to, byte(seconds/3600), byte(seconds/60%60), byte(seconds%60), byte(fraction>>16), byte(fraction>>8), byte(fraction))
}

// appendState appends bytes of a fixed size, which fill writes.
func stateHead(to []byte, size byte) []byte { return append(to, 's', size, 0, 0, 0) }

func readDate(_ *encoder, to, value []byte) ([]byte, error) {
	if len(value) != 4 {
		return to, errForm
	}
	day := int32(binary.BigEndian.Uint32(value))
	to = stateHead(to, 4)
	switch day { // infinity and its opposite are the last and the first date that there is
	case math.MaxInt32:
		return append(to, lastDate...), nil
	case math.MinInt32:
		return append(to, firstDate...), nil
	}
	return appendDate(to, int64(day))
}

const (
	lastDate   = "\x27\x0f\x0c\x1f" // 9999-12-31
	firstDate  = "\x00\x01\x01\x01"
	lastClock  = "\x17\x3b\x3b\x0f\x42\x3f" // 23:59:59.999999
	firstClock = "\x00\x00\x00\x00\x00\x00"
)

func appendMoment(to []byte, micros int64) ([]byte, error) {
	day, rest := micros/microsPerDay, micros%microsPerDay
	if rest < 0 {
		day, rest = day-1, rest+microsPerDay
	}
	to, err := appendDate(to, day)
	return appendClock(to, rest), err
}

func readTimestamp(_ *encoder, to, value []byte) ([]byte, error) {
	if len(value) != 8 {
		return to, errForm
	}
	to = stateHead(to, 10)
	switch micros := int64(binary.BigEndian.Uint64(value)); micros {
	case math.MaxInt64:
		return append(append(to, lastDate...), lastClock...), nil
	case math.MinInt64:
		return append(append(to, firstDate...), firstClock...), nil
	default:
		return appendMoment(to, micros)
	}
}

// readTimestamptz gives the state alone for UTC, which is common, else (state, offset).
func readTimestamptz(e *encoder, to, value []byte) ([]byte, error) {
	if len(value) != 8 {
		return to, errForm
	}
	micros := int64(binary.BigEndian.Uint64(value))
	if e.zone == nil || e.zone == time.UTC || micros == math.MaxInt64 || micros == math.MinInt64 {
		return readTimestamp(e, to, value)
	}
	unix := micros/microsPerSecond + epochDays*24*60*60
	if micros%microsPerSecond < 0 {
		unix--
	}
	_, offset := time.Unix(unix, 0).In(e.zone).Zone()
	to, err := appendMoment(stateHead(marshal.AppendTuple(to, 2), 10), micros+int64(offset)*microsPerSecond)
	return marshal.AppendInt(to, int64(offset)), err
}

func readTime(_ *encoder, to, value []byte) ([]byte, error) {
	if len(value) != 8 {
		return to, errForm
	}
	micros := int64(binary.BigEndian.Uint64(value))
	if micros < 0 || micros > microsPerDay {
		return to, errForm
	}
	return appendClock(stateHead(to, 6), micros%microsPerDay), nil // 24:00 is 00:00
}

func readTimetz(_ *encoder, to, value []byte) ([]byte, error) {
	if len(value) != 12 {
		return to, errForm
	}
	micros, west := int64(binary.BigEndian.Uint64(value)), int32(binary.BigEndian.Uint32(value[8:]))
	if micros < 0 || micros > microsPerDay {
		return to, errForm
	}
	to = appendClock(stateHead(marshal.AppendTuple(to, 2), 6), micros%microsPerDay)
	return marshal.AppendInt(to, -int64(west)), nil
}

// readInterval counts a year as 365 days and a month as 30.
func readInterval(_ *encoder, to, value []byte) ([]byte, error) {
	if len(value) != 16 {
		return to, errForm
	}
	micros := int64(binary.BigEndian.Uint64(value))
	days := int64(int32(binary.BigEndian.Uint32(value[8:])))
	months := int64(int32(binary.BigEndian.Uint32(value[12:])))
	days += months/12*365 + months%12*30
	to = marshal.AppendInt(marshal.AppendTuple(to, 3), days)
	return marshal.AppendInt(marshal.AppendInt(to, micros/microsPerSecond), micros%microsPerSecond), nil
}

// readTextTimetz reads "12:34:56.789+02:30"; pgx has no such type.
func readTextTimetz(e *encoder, to, value []byte) ([]byte, error) {
	at := strings.LastIndexAny(string(value), "+-")
	if at < 0 {
		return to, errForm
	}
	micros, err := clockMicros(string(value[:at]))
	if err != nil {
		return to, err
	}
	offset, err := clockMicros(string(value[at+1:]))
	if err != nil {
		return to, err
	}
	if value[at] == '+' {
		offset = -offset
	}
	form := binary.BigEndian.AppendUint64(nil, uint64(micros))
	return readTimetz(e, to, binary.BigEndian.AppendUint32(form, uint32(int32(offset/microsPerSecond))))
}

func clockMicros(text string) (int64, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	total := int64(0)
	unit := int64(3600)
	for part := range strings.SplitSeq(whole, ":") {
		n, err := strconv.Atoi(part)
		if err != nil || unit == 0 {
			return 0, errForm
		}
		total += int64(n) * unit
		unit /= 60
	}
	micros, err := strconv.Atoi((fraction + "000000")[:6])
	if err != nil {
		return 0, errForm
	}
	return total*microsPerSecond + int64(micros), nil
}

// endless is the binary form of infinity and -infinity, nil for all other text.
func endless(oid uint32, text string) []byte {
	size := map[uint32]int{oidDate: 4, oidTimestamp: 8, oidTimestamptz: 8}[oid]
	if size == 0 || text != "infinity" && text != "-infinity" {
		return nil
	}
	if text[0] == '-' {
		return []byte("\x80\x00\x00\x00\x00\x00\x00\x00")[:size]
	}
	return []byte("\x7f\xff\xff\xff\xff\xff\xff\xff")[:size]
}
