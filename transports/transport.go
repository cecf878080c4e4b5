// Package transports is the seam between the protocols of clients and the worker: what a protocol
// must say about its bytes. Each folder below holds one protocol; none of them touches a socket.
//
// Whatever the protocol, a request is a uwsgi variable block and a body.
package transports

import (
	"errors"
	"fmt"
)

// Transport is one protocol: how bytes become requests, and responses bytes.
type Transport struct {
	// New makes a Receiver. A thread has one of each transport that it meets.
	New func() Receiver
	// Frame appends data, a part of the response to the request with that ID, to dst as the protocol
	// has it. Nil: responses are sent as they are.
	Frame func(dst []byte, id uint16, data []byte) []byte
	// End appends what tells the client that the response is complete. Nil: nothing does.
	End func(dst []byte, id uint16) []byte
	// Refuses: a request that the application is not to see is answered with an HTTP response, even
	// when its head is malformed. Otherwise the connection is closed.
	Refuses bool
	// Addressed: the variables hold the addresses of the connection itself.
	Addressed bool
}

// Receiver reads requests of one protocol. It is used by one thread at a time.
type Receiver interface {
	// Receive finds out what data, the start of a request, holds. It puts variables that it has to
	// make into room, never beyond its capacity. The result aliases data, room and the receiver, up
	// to the next call.
	Receive(c *Conn, data, room []byte) Request
}

// Decoder takes the framing off a body that does not simply follow its head.
type Decoder interface {
	// Decode appends the body that src holds to dst and returns how much of src was used; the rest
	// must be given again with more behind it.
	Decode(dst, src []byte) (out []byte, used int, err error)
	// Done tells whether the body has ended.
	Done() bool
}

// FromVars is the Length of a body whose size the variables say: CONTENT_LENGTH.
const FromVars = -1

// Request is what the first bytes of a connection, or those behind another request, are found to be.
// Without Vars, Answer and Err more bytes are needed.
type Request struct {
	HeadSize int     // bytes of the head, when that much is known
	Vars     []byte  // the variable block
	Length   int64   // of the body, announced; FromVars
	Body     Decoder // how the body is framed; nil: Length bytes follow the head
	Sized    bool    // Body ends where Length bytes have come, which is too early if it ends before them
	NoBody   bool    // bodies cannot be sent, whatever Length says
	Expect   bool    // 100-continue is waited for
	Keep     bool    // another request may follow on the connection
	ID       uint16  // for Frame and End

	Modifier1, Modifier2 byte // of a uwsgi packet
	Service              bool // the packet asks the server itself for something: a cached value, a function, …

	Answer []byte // to be sent in place of a response; the connection ends, unless Keep is set
	Note   string // what the log says then; "": nothing
	Err    error  // why there is no request
}

// Errors that a request is refused for, whatever the protocol. Those of one protocol are its own.
var (
	ErrEmpty = errors.New("request without variables")
	ErrBlock = errors.New("the variables of the request have no room (raise --buffer-size)")
)

// TooLongError is a head over the buffer size.
type TooLongError struct{ Size, Limit int }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("request head of %d bytes, over the buffer size of %d", e.Size, e.Limit)
}

// ModifierError is a uwsgi packet that is not for this server.
type ModifierError byte

func (e ModifierError) Error() string { return fmt.Sprintf("unavailable modifier %d", byte(e)) }

// Take makes vars the request's, which were appended to room[:0], with err. False: they cannot be; Err says why.
func (q *Request) Take(vars, room []byte, err error) bool {
	switch {
	case err != nil:
		q.Err = err
	case len(vars) == 0:
		q.Err = ErrEmpty
	case len(vars) > cap(room) || &vars[0] != &room[:1][0]: // they have outgrown it
		q.Err = ErrBlock
	default:
		q.Vars = vars
	}
	return q.Err == nil
}

// Conn is what a connection, not a request, says. It is made once a connection.
type Conn struct {
	*Socket
	RemoteAddr string
	RemotePort string // "": it is not told
	ServerAddr string // what a PROXY header says; "": there was none
	ServerPort string // likewise; "": the socket's

	Vars []byte // variables in packet form that are this connection's own, such as those of TLS
	// Misdirected tells that requests for a host do not belong to this connection; nil: all do.
	Misdirected func(host []byte) bool

	Protocol string // SERVER_PROTOCOL; "": what the request says

	// Kept: the client has asked in its own protocol for more than one request, and the socket allows that.
	Kept bool

	// ProxyHeader is the size of the PROXY header before the first request, until that is whole;
	// AwaitProxy: nothing has been read yet, and there may be one.
	ProxyHeader int
}

// AwaitProxy is the ProxyHeader of a connection of which nothing has been read.
const AwaitProxy = -1

// Socket is what is the same for all connections of a listening socket.
type Socket struct {
	Modifiers  []byte // of packets that are taken; none: all that are served
	CGI        bool   // packets with the modifier of CGI programs are served
	Limit      int    // of a head, in bytes: --buffer-size
	ServerName string // this host's name
	Port       string // SERVER_PORT
	Router     bool   // --http
	KeepAlive  bool   // connections may serve more than one request
	Extra      []byte // variables in packet form, appended as they are (--http-var)
	NoScript   bool   // leave SCRIPT_NAME to the application dispatcher (--manage-script-name)
	HostName   bool   // SERVER_NAME is what the Host header says
	KeepSlash  bool   // "%2F" stays as it is in PATH_INFO
}
