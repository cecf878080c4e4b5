package types

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a slim container has no zones of its own

	"github.com/jackc/pgx/v5/pgtype"

	"envoxyd/protocol/marshal"
)

// Dates and times are written as Python's fromisoformat reads them, from 3.8 on.

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
	to = appendTwo(appendTwo(to, year/100), year%100)
	return appendTwo(append(appendTwo(append(to, '-'), month), '-'), dayOfMonth), nil
}

func appendTwo(to []byte, n int) []byte { return append(to, byte('0'+n/10), byte('0'+n%10)) }

func appendMicros(to []byte, micros int64) []byte {
	seconds, fraction := int(micros/microsPerSecond), int(micros%microsPerSecond)
	to = appendTwo(append(appendTwo(append(appendTwo(to, seconds/3600), ':'), seconds/60%60), ':'), seconds%60)
	if fraction != 0 {
		to = appendTwo(appendTwo(appendTwo(append(to, '.'), fraction/10000), fraction/100%100), fraction%100)
	}
	return to
}

// appendOffset appends seconds east of Greenwich as +hh:mm, or +hh:mm:ss where a zone of old needs it.
func appendOffset(to []byte, seconds int) []byte {
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	to = appendTwo(append(appendTwo(append(to, sign), seconds/3600), ':'), seconds/60%60)
	if seconds%60 != 0 {
		to = appendTwo(append(to, ':'), seconds%60)
	}
	return to
}

// openText begins a short text whose length closeText writes.
func openText(to []byte) ([]byte, int) { return append(to, 'z', 0), len(to) + 1 }

func closeText(to []byte, at int) []byte {
	to[at] = byte(len(to) - at - 1)
	return to
}

// What infinity and -infinity become: the last and the first that there is.
const (
	lastDate    = "9999-12-31"
	firstDate   = "0001-01-01"
	lastMoment  = lastDate + "T23:59:59.999999"
	firstMoment = firstDate + "T00:00:00"
)

func readDate(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 4 {
		return to, errForm
	}
	day := int32(binary.BigEndian.Uint32(value))
	switch day {
	case math.MaxInt32:
		return marshal.AppendText(to, lastDate), nil
	case math.MinInt32:
		return marshal.AppendText(to, firstDate), nil
	}
	to, at := openText(to)
	to, err := appendDate(to, int64(day))
	return closeText(to, at), err
}

func appendMoment(to []byte, micros int64) ([]byte, error) {
	switch micros {
	case math.MaxInt64:
		return append(to, lastMoment...), nil
	case math.MinInt64:
		return append(to, firstMoment...), nil
	}
	day, rest := micros/microsPerDay, micros%microsPerDay
	if rest < 0 {
		day, rest = day-1, rest+microsPerDay
	}
	to, err := appendDate(to, day)
	return appendMicros(append(to, 'T'), rest), err
}

func readTimestamp(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 8 {
		return to, errForm
	}
	to, at := openText(to)
	to, err := appendMoment(to, int64(binary.BigEndian.Uint64(value)))
	return closeText(to, at), err
}

// readTimestamptz gives the session's time of day, with its offset.
func readTimestamptz(e *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 8 {
		return to, errForm
	}
	micros, offset := int64(binary.BigEndian.Uint64(value)), 0
	if e.Zone != time.UTC && micros != math.MaxInt64 && micros != math.MinInt64 {
		seconds := micros / microsPerSecond
		if micros%microsPerSecond < 0 {
			seconds--
		}
		_, offset = time.Unix(seconds+epochDays*24*60*60, 0).In(e.Zone).Zone()
		micros += int64(offset) * microsPerSecond
	}
	to, at := openText(to)
	to, err := appendMoment(to, micros)
	return closeText(appendOffset(to, offset), at), err
}

func readTime(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 8 {
		return to, errForm
	}
	to, at := openText(to)
	to, err := appendTimeOfDay(to, value)
	return closeText(to, at), err
}

func appendTimeOfDay(to, value []byte) ([]byte, error) {
	micros := int64(binary.BigEndian.Uint64(value))
	if micros < 0 || micros > microsPerDay {
		return to, errForm
	}
	return appendMicros(to, micros%microsPerDay), nil // 24:00 is 00:00
}

func readTimetz(_ *Encoder, to, value []byte) ([]byte, error) {
	if len(value) != 12 {
		return to, errForm
	}
	to, at := openText(to)
	to, err := appendTimeOfDay(to, value[:8])
	west := int32(binary.BigEndian.Uint32(value[8:]))
	return closeText(appendOffset(to, -int(west)), at), err
}

// readInterval counts a year as 365 days and a month as 30.
func readInterval(_ *Encoder, to, value []byte) ([]byte, error) {
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
func readTextTimetz(e *Encoder, to, value []byte) ([]byte, error) {
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
	size := map[uint32]int{pgtype.DateOID: 4, pgtype.TimestampOID: 8, pgtype.TimestamptzOID: 8}[oid]
	if size == 0 || text != "infinity" && text != "-infinity" {
		return nil
	}
	if text[0] == '-' {
		return []byte("\x80\x00\x00\x00\x00\x00\x00\x00")[:size]
	}
	return []byte("\x7f\xff\xff\xff\xff\xff\xff\xff")[:size]
}
