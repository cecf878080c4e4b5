package worker

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// forks is how often this process has begun or ended to fork.
func forks() uint32 { return (*atomic.Uint32)(unsafe.Pointer(&C.envoxyd_forks)).Load() }

// setLeaving has responses whose heads are still to be made say that their connections end.
func setLeaving() { (*atomic.Uint32)(unsafe.Pointer(&C.envoxyd_leaving)).Store(1) }

// What Go and C share is declared once, in shim.h; these are its names on this side.

// coreIO is C's memory, shared with one core.
type coreIO = C.core_io

// The types of its fields.
type (
	cUint8  = C.uint8_t
	cUint32 = C.uint32_t
	cUint64 = C.uint64_t
	cInt64  = C.int64_t
	cInt32  = C.int32_t
)

// What a request asks of its response.
const (
	reqHTTPS      = C.REQ_HTTPS
	reqNoBody     = C.REQ_NO_BODY
	reqChunk      = C.REQ_CHUNK
	reqSayClose   = C.REQ_SAY_CLOSE
	reqDrain      = C.REQ_DRAIN
	reqTerminated = C.REQ_TERMINATED
	reqHTTP10     = C.REQ_HTTP10
	reqSeekable   = C.REQ_SEEKABLE
	reqStatus     = C.REQ_STATUS
	reqEvent      = C.REQ_EVENT
	reqService    = C.REQ_SERVICE
	reqCloses     = C.REQ_CLOSES
	reqSayKeep    = C.REQ_SAY_KEEP
	reqHTTP11     = C.REQ_HTTP11
	reqRouted     = C.REQ_ROUTED
)

// What became of a response.
const (
	resDelimited = C.RES_DELIMITED
	resClose     = C.RES_CLOSE
	resFailed    = C.RES_FAILED
	resBroken    = C.RES_BROKEN
	resException = C.RES_EXCEPTION
	resShort     = C.RES_SHORT
)

const (
	bodyWhole   = C.BODY_WHOLE
	bodyClosed  = C.BODY_CLOSED
	bodyTimeout = C.BODY_TIMEOUT

	bodyArriving = C.BODY_ARRIVING
)

// What rules have decided about a response.
const (
	routeGo       = C.ROUTE_GO
	routeAnswered = C.ROUTE_ANSWERED
	routeGather   = C.ROUTE_GATHER
	routeChunk    = C.ROUTE_CHUNK
	routeBare     = C.ROUTE_BARE
)

// ask asks Python for what rules need. The caller may be on any thread, with Python's lock or without. nil: there is no answer.
func ask(what string, arguments []byte) []byte {
	name := append([]byte(what), 0)
	var size C.size_t
	var given *C.char
	if len(arguments) > 0 {
		given = (*C.char)(unsafe.Pointer(&arguments[0]))
	}
	answer := C.envoxyd_ask((*C.char)(unsafe.Pointer(&name[0])), given, C.size_t(len(arguments)), &size)
	if answer == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(answer))
	return append([]byte{}, unsafe.Slice((*byte)(unsafe.Pointer(answer)), int(size))...)
}

// setOut makes text what is in the output buffer. False: there is no memory for it.
func setOut(io *coreIO, text []byte) bool {
	room := C.envoxyd_out_room(io, C.size_t(max(len(text), 1)))
	if room == nil {
		return false
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(room)), len(text)), text)
	io.out_len = cUint32(len(text))
	return true
}

// What has come of a body that arrives.
const (
	arrivedWait = C.ARRIVED_WAIT
	arrivedSome = C.ARRIVED_SOME
	arrivedLast = C.ARRIVED_LAST
	arrivedGone = C.ARRIVED_GONE
)

const (
	nextStop        = C.NEXT_STOP
	nextUwsgiSignal = C.NEXT_UWSGI_SIGNAL
	nextSignal      = C.NEXT_SIGNAL
	nextRequest     = C.NEXT_REQUEST
	nextIdle        = C.NEXT_IDLE
)

const (
	sendWhole = C.SEND_WHOLE
	sendAhead = C.SEND_AHEAD
	sendLast  = C.SEND_LAST
)

const (
	writeOK      = C.WRITE_OK
	writeGone    = C.WRITE_GONE
	writeTimeout = C.WRITE_TIMEOUT
	writeAgain   = C.WRITE_AGAIN
	writeBusy    = C.WRITE_BUSY
)
