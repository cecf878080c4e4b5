package routing

import "envoxyd/protocol/uwsgi"

// nameTable is the variables that rules look at. A request's block is gone through once, when the first rule asks,
// and each of its names is looked for here: most are told apart by their first and last byte and their length.
type nameTable struct {
	names []string
	first [256]uint16 // by hash: index into names, plus one
	next  []uint16    // of the same hash
}

// add returns a name's index.
func (t *nameTable) add(name string) int {
	if i := t.find([]byte(name)); i >= 0 {
		return i
	}
	h := nameHash([]byte(name))
	t.names = append(t.names, name)
	t.next = append(t.next, t.first[h])
	t.first[h] = uint16(len(t.names))
	return len(t.names) - 1
}

// find returns a name's index, or -1.
func (t *nameTable) find(name []byte) int {
	for i := t.first[nameHash(name)]; i != 0; i = t.next[i-1] {
		if t.names[i-1] == string(name) {
			return int(i - 1)
		}
	}
	return -1
}

func nameHash(name []byte) byte {
	if len(name) == 0 {
		return 0
	}
	return byte(len(name))*37 ^ name[0]*5 ^ name[len(name)-1]*3 ^ name[len(name)/2]
}

// attach makes the request one of this program's.
func (r *Request) attach(p *Program) {
	r.program, r.indexed = p, false
	if n := len(p.names.names); cap(r.values) < n {
		r.values = make([][]byte, n)
	} else {
		r.values = r.values[:n]
	}
}

// index goes through the block. Of several variables with one name the last counts, as for the application.
func (r *Request) index() {
	clear(r.values)
	names := &r.program.names
	// As uwsgi.Next, of which the checks would be a third of the time: a block has been checked when it was received, and
	// what is no variable ends it.
	for block := r.block; len(block) >= 4; {
		end := 2 + int(block[0]) + int(block[1])<<8
		if end+2 > len(block) {
			break
		}
		key := block[2:end]
		from := end + 2
		end = from + int(block[end]) + int(block[end+1])<<8
		if end > len(block) {
			break
		}
		if i := names.find(key); i >= 0 {
			r.values[i] = block[from:end]
		}
		block = block[end:]
	}
	for _, c := range r.changed {
		if i := names.find([]byte(c.name)); i >= 0 {
			r.values[i] = c.value
		}
	}
	r.indexed = true
}

// variable returns the value of a name of the program; nil when there is no such variable.
func (r *Request) variable(i int) []byte {
	if !r.indexed {
		r.index()
	}
	return r.values[i]
}

// set changes or adds a variable. The value must not alias what the caller of Run may change. It reports whether the
// block has room for it.
func (r *Request) set(name string, value []byte) bool {
	size := len(r.block) + 4 + len(name) + len(value)
	at := -1
	for i, c := range r.changed {
		if c.name == name {
			at = i
			continue
		}
		size += 4 + len(c.name) + len(c.value)
	}
	limit := r.MaxBlock
	if limit <= 0 || limit > uwsgi.MaxBlock {
		limit = uwsgi.MaxBlock
	}
	if size > limit {
		return false
	}
	if at >= 0 {
		r.changed[at].value = value
	} else {
		r.changed = append(r.changed, change{name, value})
	}
	r.isBuilt = false
	if r.indexed {
		if i := r.program.names.find([]byte(name)); i >= 0 {
			r.values[i] = value
		}
	}
	return true
}

// Changed tells whether rules have changed variables, so that Block is another one than the caller's.
func (r *Request) Changed() bool { return len(r.changed) > 0 }

// Block returns the variable block as rules have left it: the caller's own, or a buffer of the request's, which is valid
// until its Reset or another change. What was changed is at the end, once.
func (r *Request) Block() []byte {
	if len(r.changed) == 0 {
		return r.block
	}
	if r.isBuilt {
		return r.built
	}
	out := r.built[:0]
	for block := r.block; len(block) > 0; {
		key, value, rest, err := uwsgi.Next(block)
		if err != nil {
			break
		}
		if !r.changes(key) {
			out = uwsgi.AppendVar(out, key, value)
		}
		block = rest
	}
	for _, c := range r.changed {
		out = uwsgi.AppendVar(out, c.name, c.value)
	}
	r.built, r.isBuilt = out, true
	return out
}

func (r *Request) changes(key []byte) bool {
	for _, c := range r.changed {
		if c.name == string(key) {
			return true
		}
	}
	return false
}

// Rebase tells that the caller has put the variables of Block into another place, which must not change until the next
// Reset. Changes of later stages are made to that block.
func (r *Request) Rebase(block []byte) {
	r.block, r.indexed, r.isBuilt = block, false, false
	r.changed = r.changed[:0]
}
