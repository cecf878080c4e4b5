package postgres

// Object identifiers of PostgreSQL's own types (its pg_type.dat); they never change.
const (
	oidBool        = 16
	oidBytea       = 17
	oidChar        = 18
	oidName        = 19
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidOID         = 26
	oidJSON        = 114
	oidFloat4      = 700
	oidFloat8      = 701
	oidBpchar      = 1042
	oidVarchar     = 1043
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestamptz = 1184
	oidInterval    = 1186
	oidTimetz      = 1266
	oidNumeric     = 1700
	oidUUID        = 2950
	oidJSONB       = 3802
)

// elements maps array types to their elements' types, of those that are decoded.
var elements = map[uint32]uint32{
	1000: oidBool, 1001: oidBytea, 1002: oidChar, 1003: oidName, 1016: oidInt8, 1005: oidInt2, 1007: oidInt4, 1009: oidText,
	1028: oidOID, 199: oidJSON, 1021: oidFloat4, 1022: oidFloat8, 1014: oidBpchar, 1015: oidVarchar, 1182: oidDate,
	1183: oidTime, 1115: oidTimestamp, 1185: oidTimestamptz, 1187: oidInterval, 1270: oidTimetz, 1231: oidNumeric,
	2951: oidUUID, 3807: oidJSONB,
}

// textElements are array types whose elements stay text, as the server writes them.
var textElements = map[uint32]bool{1041: true /* inet */, 651: true /* cidr */, 1040: true /* macaddr */}

// typeNames are the types that a parameter may name; as constants they need a cast.
var typeNames = map[uint32]string{
	oidBool: "bool", oidFloat8: "float8", oidDate: "date", oidTime: "time", oidTimetz: "timetz", oidTimestamp: "timestamp",
	oidTimestamptz: "timestamptz", oidInterval: "interval", oidNumeric: "numeric", oidUUID: "uuid", 650: "cidr", 869: "inet",
	1000: "bool[]", 1001: "bytea[]", 1007: "int4[]", 1016: "int8[]", 1022: "float8[]", 1009: "text[]", 1182: "date[]", 1183: "time[]", 1270: "timetz[]",
	1115: "timestamp[]", 1185: "timestamptz[]", 1187: "interval[]", 1231: "numeric[]", 2951: "uuid[]", 1041: "inet[]", 651: "cidr[]",
}
