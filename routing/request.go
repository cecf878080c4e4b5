package routing

// Request is a request as rules see and change it. It belongs to one request at a time and is used again for the next
// one, so that it costs no memory: Reset begins. The zero Request is ready for a Reset.
type Request struct {
	// Status is the response's, for the stages that have one.
	Status int
	// MaxBlock limits what rules may make of the variable block, in bytes; 0: 65535. Over it, the answer is a 500.
	MaxBlock int
	// Effects is what rules have asked for.
	Effects Effects

	program *Program
	block   []byte // the caller's: never written to
	outside Outside

	values  [][]byte // of the program's names; valid when indexed
	indexed bool
	changed []change // variables that rules have set, in order
	arena   []byte   // texts that were made for this request; what was handed out never moves
	built   []byte   // the block with the changes
	isBuilt bool

	subject []byte // what the last expression was compared with
	spans   []int  // its match and groups
	at      int    // the rule that runs
	target  int    // where jump leads to
	verdict Verdict
	sent    *Answer // made by a rule that lets the others run
}

// change is a variable that rules have set.
type change struct {
	name  string
	value []byte
}

// Effects is what rules have asked for beside variables and the verdict. It adds up over the stages of a request.
// Texts are valid until the request's Reset. Headers, names and lines are safe to be written as they are, but for Raw.
type Effects struct {
	AddHeaders    [][]byte // whole lines without their end, to be sent after the response's own
	RemoveHeaders [][]byte // names, in any case, of the response's own headers that are not to be sent; what is added stays
	ClearHeaders  string   // a status line that replaces the response's, and its own headers; "": none
	NoHeaders     bool     // no headers are sent, nor a status line

	Raw     []byte // goes to the client before all else
	RawSent bool   // there was something for Raw: neither headers nor a status line follow it

	Chunked     bool // the body is sent in chunks
	Gzip        bool // the body is compressed
	FixLength   bool // Content-Length is added, if the response has none
	ForceLength bool // Content-Length is added in any case
	Store       []CacheStore

	LogLines [][]byte // to be logged at once: the caller takes them after each Run
	LogVars  []LogVar // of the log's format
	NoLog    bool     // nothing is logged about the request

	HarakiriSeconds int    // limit for this request; 0: as configured
	Modifier1       int    // of the request from here on; -1: as it came
	Modifier2       int    // likewise
	ProcName        []byte // new name of the process; empty: none
}

// LogVar is a variable of the log's format: %(Name). Of several with one name the last counts. Its value is as it was sent: the log makes it safe.
type LogVar struct {
	Name  string
	Value []byte
}

// CacheStore is a cache that the response's body is put into when it is there as a whole, and its status is 200.
type CacheStore struct {
	Cache   string
	Key     []byte
	Seconds int64 // until it expires; 0: never
}

// keptArena is how much memory for texts a request keeps for the next one, in bytes.
const keptArena = 64 << 10

// Reset begins with another request. The block is not written to, and must not change until the next Reset; variables
// in it alias it.
func (r *Request) Reset(block []byte, outside Outside) {
	if cap(r.arena) > keptArena {
		r.arena = nil
	}
	r.Status, r.block, r.outside, r.indexed, r.isBuilt = 0, block, outside, false, false
	r.changed, r.arena, r.spans, r.subject, r.sent = r.changed[:0], r.arena[:0], r.spans[:0], nil, nil
	e := &r.Effects
	*e = Effects{
		AddHeaders: e.AddHeaders[:0], RemoveHeaders: e.RemoveHeaders[:0], LogLines: e.LogLines[:0],
		LogVars: e.LogVars[:0], Raw: e.Raw[:0], Store: e.Store[:0], Modifier1: -1, Modifier2: -1,
	}
}
