package routing

// Verdict is what a stage's rules have decided.
type Verdict struct {
	Kind   Kind
	Answer *Answer // of Break
	File   *File   // of SendFile
	Proxy  *Proxy  // of Forward
}

// Kind is what the caller is to do.
type Kind uint8

// Kinds of verdicts. Those from Break on end the request: the application is not entered, and a response that was
// about to be sent is replaced, except in the final stage.
const (
	Next     Kind = iota // no rule has ended the stage: go on
	Continue             // a rule has ended the stage: go on
	Break                // send Answer
	Close                // close the connection; nothing is sent but Effects.Raw
	SendFile             // send File
	Forward              // have another server answer: Proxy
)

// Ends tells whether the request ends here.
func (k Kind) Ends() bool { return k >= Break }

// Answer is a response that needs no application. Its headers are lines without their end, safe to be sent. Added and
// removed headers (Effects) apply to it as to any response. It is not to be changed: others get the same one. It says nothing of the length of its body unless Headers do.
type Answer struct {
	Status  string // "403 Forbidden"
	Headers []string
	Body    []byte // valid until the request's Reset
	Close   bool   // the connection ends with it, and Headers says so
}

// File is a file that is the response. It was there a moment ago.
type File struct {
	Path string // without "..", "." and "//"
	Root string // literal part of the rule that Path is below, or is: links must not lead out of it

	Static      bool   // answered as files of --static-map are: type by name, Last-Modified, conditions, ranges
	Status      string // "": 200 OK; of files that are not Static, as are the rest
	ContentType string
	NoLength    bool // without Content-Length
	Bare        bool // without status line and headers
}

// Proxy is another server that answers the request.
type Proxy struct {
	Protocol  string // "http" or "uwsgi"
	Address   string // host:port, or the path of a unix socket
	Host      string // http: replaces the Host header; "": it stays
	Target    string // http: replaces REQUEST_URI; "": that stays
	Modifier1 byte   // uwsgi
	Modifier2 byte   // uwsgi
}
