package types

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"envoxyd/protocol/marshal"
)

func text(value string) []byte { return marshal.AppendText(nil, value) }

// decoded is a value of a type as it crosses to Python.
func decoded(t *testing.T, oid uint32, format int16, value []byte, zone *time.Location) ([]byte, error) {
	t.Helper()
	_, _, read := readerOf(oid, format)
	return read(&Encoder{Zone: zone}, nil, value)
}

func TestBinaryValues(t *testing.T) {
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		oid   uint32
		value string // hex
		zone  *time.Location
		want  []byte
	}{
		{"bool", pgtype.BoolOID, "01", nil, []byte{'T'}},
		{"int2", pgtype.Int2OID, "ffff", nil, marshal.AppendInt(nil, -1)},
		{"int8", pgtype.Int8OID, "8000000000000000", nil, marshal.AppendInt(nil, math.MinInt64)},
		{"oid", pgtype.OIDOID, "ffffffff", nil, marshal.AppendInt(nil, math.MaxUint32)},
		{"float4 is the shortest decimal", pgtype.Float4OID, "3f8ccccd", nil, marshal.AppendFloat(nil, 1.1)},
		{"float8", pgtype.Float8OID, "3ff8000000000000", nil, marshal.AppendFloat(nil, 1.5)},
		{"uuid", pgtype.UUIDOID, "a0eebc999c0b4ef8bb6d6bb9bd380a11", nil, text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")},
		{"jsonb", pgtype.JSONBOID, "017b7d", nil, text("{}")},
		{"numeric 0", pgtype.NumericOID, "0000000000000000", nil, text("0")},
		{"numeric 0.00", pgtype.NumericOID, "0000000000000002", nil, text("0.00")},
		{"numeric 12345.678", pgtype.NumericOID, "00030001000000030001" + "09291a7c", nil, text("12345.678")},
		{"numeric -0.0001", pgtype.NumericOID, "0001ffff400000040001", nil, text("-0.0001")},
		{"numeric 1e-10 has its zeros", pgtype.NumericOID, "0001fffd0000000a0064", nil, text("0.0000000001")},
		{"numeric 1e20 has its zeros", pgtype.NumericOID, "00010005000000000001", nil, text("100000000000000000000")},
		{"numeric NaN", pgtype.NumericOID, "00000000c0000000", nil, text("NaN")},
		{"numeric -Infinity", pgtype.NumericOID, "00000000f0000000", nil, text("-Infinity")},
		{"date", pgtype.DateOID, "ffffffff", nil, text("1999-12-31")},
		{"date infinity", pgtype.DateOID, "7fffffff", nil, text("9999-12-31")},
		{"timestamp before the epoch", pgtype.TimestampOID, "ffffffffffffffff", nil, text("1999-12-31T23:59:59.999999")},
		{"timestamptz", pgtype.TimestamptzOID, "0000000000000000", time.UTC, text("2000-01-01T00:00:00+00:00")},
		{"timestamptz elsewhere", pgtype.TimestamptzOID, "0000000000000000", oslo, text("2000-01-01T01:00:00+01:00")},
		{"time 24:00", pgtype.TimeOID, "000000141dd76000", nil, text("00:00:00")},
		{"timetz", pgtype.TimetzOID, "0000000000000000" + "ffffe3e0", nil, text("00:00:00+02:00")},
		{"interval", pgtype.IntervalOID, "ffffffffffffffff" + "00000001" + "fffffff3", nil,
			marshal.AppendInt(marshal.AppendInt(marshal.AppendInt(marshal.AppendTuple(nil, 3), 1-365-30), 0), -1)},
		{"empty array", 1007, "000000000000000000000017", nil, marshal.AppendList(nil, 0)},
		{"array", 1007, "00000001" + "00000001" + "00000017" + "00000002" + "00000001" + "00000004" + "00000005" + "ffffffff", nil,
			append(marshal.AppendInt(marshal.AppendList(nil, 2), 5), 'N')},
	} {
		raw, err := hex.DecodeString(c.value)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decoded(t, c.oid, 1, raw, c.zone)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestTextValues(t *testing.T) {
	for _, c := range []struct {
		oid   uint32
		value string
		want  []byte
	}{
		{pgtype.BoolOID, "f", []byte{'F'}},
		{pgtype.Int4OID, "-5", marshal.AppendInt(nil, -5)},
		{pgtype.Float8OID, "NaN", marshal.AppendFloat(nil, math.NaN())},
		{pgtype.Float8OID, "-Infinity", marshal.AppendFloat(nil, math.Inf(-1))},
		{pgtype.NumericOID, "1.50", text("1.50")},
		{pgtype.ByteaOID, `\xdead`, marshal.AppendBytes(nil, "\xde\xad")},
		{pgtype.DateOID, "2024-02-29", text("2024-02-29")},
		{pgtype.DateOID, "-infinity", text("0001-01-01")},
		{pgtype.TimestampOID, "2024-01-02 03:04:05.5", text("2024-01-02T03:04:05.500000")},
		{pgtype.TimestamptzOID, "2024-01-02 03:04:05+02", text("2024-01-02T01:04:05+00:00")},
		{pgtype.TimeOID, "12:34:56", text("12:34:56")},
		{pgtype.TimetzOID, "12:34:56.5-03:30", text("12:34:56.500000-03:30")},
		{600, "(1,2)", text("(1,2)")},
		{1041, "{10.0.0.1}", append(marshal.AppendList(nil, 1), text("10.0.0.1")...)},
		{1009, `{a,"b \"c\\",NULL,"NULL",{}}`, append(append(append(append(append(append(marshal.AppendList(nil, 5), text("a")...), text(`b "c\`)...), 'N'), text("NULL")...),
			marshal.AppendList(nil, 0)...), []byte{}...)},
		{1007, "[0:1]={5,6}", marshal.AppendInt(marshal.AppendInt(marshal.AppendList(nil, 2), 5), 6)},
	} {
		got, err := decoded(t, c.oid, 0, []byte(c.value), time.UTC)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%d %s: %q, %v; want %q", c.oid, c.value, got, err, c.want)
		}
	}
}

func TestMalformedValuesAreErrors(t *testing.T) {
	for oid, codec := range codecs {
		if codec.binary == nil || oid == pgtype.TextOID || oid == pgtype.VarcharOID || oid == pgtype.BPCharOID || oid == pgtype.NameOID || oid == pgtype.QCharOID || oid == pgtype.ByteaOID || oid == pgtype.JSONOID {
			continue // any bytes will do
		}
		for _, value := range [][]byte{{}, {9, 2, 3}, bytes.Repeat([]byte{0xff}, 100)} {
			if got, err := codec.binary(&Encoder{}, nil, value); err == nil {
				t.Errorf("type %d took %x as %q", oid, value, got)
			}
		}
	}
	for _, value := range []string{"", "00000001", "00000001000000000000001700000002", "000000ff0000000000000017", "000000010000000000000017000000010000000100000009"} {
		raw, err := hex.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decoded(t, 1007, 1, raw, nil); err == nil {
			t.Errorf("an array took %s as %q", value, got)
		}
	}
	for _, value := range []string{"", "{", "{1", "{1,", "1}", "{1}}", `{"1}`, "{x}", "[0:1]"} {
		if got, err := decoded(t, 1007, 0, []byte(value), nil); err == nil {
			t.Errorf("an array took %q as %q", value, got)
		}
	}
}

func TestCivilAgreesWithTime(t *testing.T) {
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for day := int64(-730_119); day < 2_921_940; day += 97 { // 0001-01-01 to 9999-12-31
		year, month, dayOfMonth := epoch.AddDate(0, 0, int(day)).Date()
		if y, m, d := civil(day); y != year || m != int(month) || d != dayOfMonth {
			t.Fatalf("day %d is %d-%d-%d, want %d-%d-%d", day, y, m, d, year, month, dayOfMonth)
		}
	}
	for _, day := range []int64{-730_120, 2_921_940, math.MinInt32 + 1, math.MaxInt32 - 1} {
		if got, err := readDate(nil, nil, binary.BigEndian.AppendUint32(nil, uint32(int32(day)))); err == nil {
			t.Errorf("day %d: %q", day, got)
		}
	}
}
