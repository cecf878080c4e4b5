// Package types turns values of PostgreSQL into Python's marshal format and back. It knows
// no connections: what it reads is a result, what it makes is bytes.
package types

import (
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgtype"
)

// known are pgx's types: their numbers, names, and which is an array of which. Only TypeForOID
// may be called: a map keeps plans, and is one goroutine's.
var known = sync.OnceValue(pgtype.NewMap)

// elementOf is the type of an array's elements, of those that are decoded here.
func elementOf(oid uint32) (uint32, bool) {
	element := uint32(0)
	if oid == pgtype.TimetzArrayOID { // pgx has its number only
		element = pgtype.TimetzOID
	} else if found, ok := known().TypeForOID(oid); ok {
		if array, ok := found.Codec.(*pgtype.ArrayCodec); ok {
			element = array.ElementType.OID
		}
	}
	_, ours := codecs[element]
	return element, ours
}

// textElements are array types whose elements stay text, as the server writes them.
var textElements = map[uint32]bool{pgtype.InetArrayOID: true, pgtype.CIDRArrayOID: true, pgtype.MacaddrArrayOID: true}

// typeName is what a constant of that type is cast to; "": it needs no cast.
func typeName(oid uint32) string {
	switch oid {
	case pgtype.TimetzOID:
		return "timetz"
	case pgtype.TimetzArrayOID:
		return "timetz[]"
	}
	found, ok := known().TypeForOID(oid)
	if !ok {
		return ""
	}
	if element, array := strings.CutPrefix(found.Name, "_"); array {
		return element + "[]"
	}
	return found.Name
}
