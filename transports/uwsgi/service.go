package uwsgi

import (
	"strconv"

	"envoxyd/protocol/uwsgi"
	"envoxyd/transports"
)

// The variables of a packet that asks the server itself for something. Its block may be anything, so it is one of them.
const (
	VarModifier1 = "MODIFIER1"
	VarModifier2 = "MODIFIER2"
	VarBlock     = "BLOCK"
)

// service makes a request of such a packet. What follows it, if anything does, is the request's body.
func service(q transports.Request, header uwsgi.Header, block, room []byte) transports.Request {
	q.Modifier1, q.Modifier2, q.Service = header.Modifier1, header.Modifier2, true
	q.Length = following(header.Modifier1, block)
	var digits [3]byte
	vars := uwsgi.AppendVar(room[:0], VarModifier1, strconv.AppendUint(digits[:0], uint64(header.Modifier1), 10))
	vars = uwsgi.AppendVar(vars, VarModifier2, strconv.AppendUint(digits[:0], uint64(header.Modifier2), 10))
	vars = uwsgi.AppendVar(vars, VarBlock, block)
	q.Take(vars, room, nil)
	return q
}

// following is how many bytes come behind the packet: the value for a cache, or the body of a job.
func following(modifier byte, block []byte) int64 {
	name := ""
	switch modifier {
	case uwsgi.ModifierCache:
		name = "size"
	case uwsgi.ModifierSpool:
		name = "CONTENT_LENGTH"
	default:
		return 0
	}
	for len(block) > 0 {
		key, value, rest, err := uwsgi.Next(block)
		if err != nil {
			return 0
		}
		if string(key) == name {
			n, err := strconv.ParseUint(string(value), 10, 62)
			if err != nil {
				return 0
			}
			return int64(n)
		}
		block = rest
	}
	return 0
}
