package snmp

// request is one that is understood. Its slices are parts of the datagram.
type request struct {
	version   int32 // as on the wire: 0 is v1, 1 is v2c
	community []byte
	kind      byte
	number    []byte // the integer that the answer repeats, as it came
	first     int32  // of getBulk: the variables that are asked for once
	second    int32  // of getBulk: how often the others are
	names     []oid
}

const (
	v1  = 0
	v2c = 1
)

// Kinds of requests, and that of answers.
const (
	get      = 0xa0
	getNext  = 0xa1
	response = 0xa2
	set      = 0xa3
	getBulk  = 0xa5
)

// Errors of an answer.
const (
	noSuchName  = 2  // v1: there is no such variable, or it cannot be set
	notWritable = 17 // v2c
)

// What v2c has in place of a value.
const (
	noSuchObject = 0x80
	endOfMIBView = 0x82
)

// mostBulk is how many bytes the variables of an answer to getBulk may have, so that no network splits it.
const mostBulk = 1200

// parse understands a datagram; false: it is no request of v1 or v2c.
func parse(datagram []byte) (q request, ok bool) {
	all := reader(datagram)
	message, ok := all.take(tagSequence)
	if !ok || len(all) != 0 {
		return q, false
	}
	if q.version, ok = message.integer(); !ok || q.version != v1 && q.version != v2c {
		return q, false
	}
	community, ok := message.take(tagOctetString)
	if !ok {
		return q, false
	}
	kind, body, ok := message.next()
	if !ok || len(message) != 0 {
		return q, false
	}
	switch q.community, q.kind = community, kind; {
	case kind == get, kind == getNext, kind == set, kind == getBulk && q.version == v2c:
		return q, q.parseBody(body)
	}
	return q, false
}

func (q *request) parseBody(body reader) (ok bool) {
	number, ok := body.take(tagInteger)
	if q.number = number; !ok || len(number) == 0 || len(number) > 5 { // five: of somebody without signs
		return false
	}
	if q.first, ok = body.integer(); !ok {
		return false
	}
	if q.second, ok = body.integer(); !ok {
		return false
	}
	list, ok := body.take(tagSequence)
	if !ok || len(body) != 0 {
		return false
	}
	for len(list) > 0 {
		variable, ok := list.take(tagSequence)
		if !ok {
			return false
		}
		name, ok := variable.oid()
		if !ok {
			return false
		}
		if _, _, ok := variable.next(); !ok || len(variable) != 0 { // what is asked for has none, but for a null
			return false
		}
		q.names = append(q.names, name)
	}
	return true
}

// answer is the datagram that answers q.
func (q *request) answer(t tree) []byte {
	var variables []byte
	status, index := uint64(0), uint64(0)
	switch q.kind {
	case getBulk:
		variables = q.bulk(t)
	default:
		for i, name := range q.names {
			found, ok := q.look(t, name)
			if !ok && status == 0 {
				status, index = q.refusal(), uint64(i+1)
			}
			variables = found.append(variables)
		}
	}
	if status != 0 { // nothing is answered but what was asked
		variables = nil
		for _, name := range q.names {
			variables = variable{name: name, tag: tagNull}.append(variables)
		}
	}
	body := appendValue(nil, tagInteger, q.number...)
	body = appendUnsigned(body, tagInteger, status)
	body = appendUnsigned(body, tagInteger, index)
	body = appendValue(body, tagSequence, variables...)
	message := appendUnsigned(nil, tagInteger, uint64(q.version))
	message = appendValue(message, tagOctetString, q.community...)
	message = appendValue(message, response, body...)
	return appendValue(nil, tagSequence, message...)
}

// refusal is the error for a variable that is not there, or that is to be set.
func (q *request) refusal() uint64 {
	if q.version == v1 {
		return noSuchName
	}
	return notWritable
}

// look finds the variable that one name asks for; false: the request is in error. v2c has a word for what is not there.
func (q *request) look(t tree, name oid) (found variable, ok bool) {
	missing := byte(noSuchObject)
	switch q.kind {
	case get:
		found, ok = t.get(name)
	case getNext:
		found, ok = t.next(name)
		missing = endOfMIBView
	case set:
		return found, false
	}
	if ok || q.version == v1 {
		return found, ok
	}
	return variable{name: name, tag: missing}, true
}

// bulk is what follows each name: once for the first of them, several times for the others, as far as there is room.
func (q *request) bulk(t tree) (variables []byte) {
	once := min(max(int(q.first), 0), len(q.names))
	names := q.names
	for round := 0; len(names) > 0 && (round == 0 || round < int(q.second)); round++ {
		ended := true
		for i, name := range names {
			if round == 0 && i >= once && q.second <= 0 {
				return variables
			}
			found, ok := t.next(name)
			if !ok {
				found = variable{name: name, tag: endOfMIBView}
			}
			ended = ended && !ok
			more := found.append(variables)
			if len(more) > mostBulk && len(variables) > 0 {
				return variables
			}
			variables, names[i] = more, found.name
		}
		if round == 0 {
			names = names[once:]
		}
		if ended {
			break
		}
	}
	return variables
}
