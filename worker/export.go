package worker

/*
#cgo CFLAGS: -Wall -Wextra -Werror -Wno-unused-parameter
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/gobwas/ws"

	"envoxyd/worker/sharedmem"
)

// This file is the only place where C calls Go. What crosses is a core's
// number, C's own memory, and small integers.

// process is this process's worker: what C passes are numbers only.
var process *Worker

// guard keeps a panic from unwinding into Python: the process says what happened and ends.
func guard() {
	if problem := recover(); problem != nil {
		fmt.Fprintf(os.Stderr, "envoxyd: internal error: %v\n", problem)
		panic(problem) // with the trace of all goroutines, status 2
	}
}

//export envoxyd_start
func envoxyd_start(spec *C.char, size C.int, id C.int, io *C.core_io, cores C.int, caches unsafe.Pointer, problem *C.char, room C.int) C.int {
	defer guard()
	w, err := start(C.GoBytes(unsafe.Pointer(spec), size), int(id), unsafe.Slice(io, int(cores)), caches)
	if err != nil {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(problem)), int(room)), err.Error())
		return 1
	}
	process = w
	return 0
}

func start(spec []byte, id int, io []coreIO, table unsafe.Pointer) (*Worker, error) {
	caches, err := sharedmem.At(table)
	if err != nil {
		return nil, err
	}
	return New(spec, id, io, caches)
}

//export envoxyd_next
func envoxyd_next(core C.int) C.int {
	defer guard()
	return C.int(process.reactor.slots[core].next())
}

//export envoxyd_write
func envoxyd_write(core C.int, data *C.char, size C.size_t, mode C.int) C.int {
	defer guard()
	return C.int(process.reactor.slots[core].write(unsafe.Slice((*byte)(unsafe.Pointer(data)), int(size)), int(mode)))
}

// envoxyd_take is envoxyd_next for a loop: it does not wait; without ask it does not ask the kernel either.
//
//export envoxyd_take
func envoxyd_take(core C.int, ask C.int) C.int {
	defer guard()
	effort := stepKnown
	if ask != 0 {
		effort = stepAsk
	}
	return C.int(process.reactor.slots[core].step(effort))
}

//export envoxyd_loop_fd
func envoxyd_loop_fd() C.int {
	defer guard()
	return C.int(process.reactor.epoll)
}

// envoxyd_complete sends the last of the response, which is in the output buffer, and ends the request: its connection serves
// the next one, while the application goes on with the core. But for WRITE_OK the request goes on, too.
//
//export envoxyd_complete
func envoxyd_complete(core C.int) C.int {
	defer guard()
	return C.int(process.reactor.slots[core].complete())
}

// envoxyd_resume goes on with a write that has returned WRITE_AGAIN.
//
//export envoxyd_resume
func envoxyd_resume(core C.int, late C.int) C.int {
	defer guard()
	return C.int(process.reactor.slots[core].resume(late != 0))
}

// envoxyd_body gives what has come of the body of the core's request: data is malloc'ed and the caller's. It returns one of
// ARRIVED_*; with ARRIVED_WAIT, fd becomes readable when there is more to say.
//
//export envoxyd_body
func envoxyd_body(core C.int, data **C.char, size *C.size_t, fd *C.int) C.int {
	defer guard()
	a := process.reactor.slots[core].arriving
	if a == nil {
		return arrivedGone
	}
	piece, state := a.read()
	if len(piece) > 0 {
		*data, *size = (*C.char)(C.CBytes(piece)), C.size_t(len(piece))
	}
	*fd = C.int(a.fd)
	return C.int(state)
}

//export envoxyd_body_is_whole
func envoxyd_body_is_whole(core C.int) C.int {
	defer guard()
	if a := process.reactor.slots[core].arriving; a != nil && !a.whole() {
		return 0
	}
	return 1
}

// envoxyd_route has rules look at the head of a response, which is in the core's output buffer without its last line, and returns
// ROUTE_*. Python's lock is not held.
//
//export envoxyd_route
func envoxyd_route(core C.int) C.int {
	defer guard()
	return C.int(process.reactor.slots[core].routeHead())
}

// envoxyd_gathered is given the body of a response as a whole. What it returns is sent in its place, is malloc'ed and the
// caller's; NULL: the body is sent as it is.
//
//export envoxyd_gathered
func envoxyd_gathered(core C.int, data *C.char, size *C.size_t) *C.char {
	defer guard()
	changed := process.reactor.slots[core].gathered(cBytes(data, *size))
	if changed == nil {
		return nil
	}
	*size = C.size_t(len(changed))
	return (*C.char)(C.CBytes(changed))
}

//export envoxyd_websocket_open
func envoxyd_websocket_open(core C.int, serial C.uint32_t) C.int {
	defer guard()
	if process.reactor.slots[core].openFrames(uint32(serial)) {
		return 0
	}
	return -1
}

// envoxyd_websocket_receive returns 1 with a message, which is malloc'ed and the caller's; 0: there is none, and after
// patience, in milliseconds, it is to be asked again at the latest; -1: none will come.
//
//export envoxyd_websocket_receive
func envoxyd_websocket_receive(core C.int, serial C.uint32_t, message **C.char, size *C.size_t, opcode *C.int, fd *C.int, patience *C.int) C.int {
	defer guard()
	f := process.reactor.slots[core].framesOf(uint32(serial))
	if f == nil {
		return receivedEnd
	}
	event, outcome, wait := f.receive()
	*fd, *patience = C.int(f.fd), C.int((wait+time.Millisecond-1)/time.Millisecond)
	if outcome == receivedEnd {
		*opcode = C.int(f.closeCode())
	}
	if outcome == receivedMessage {
		*message, *size, *opcode = (*C.char)(C.CBytes(event.Data)), C.size_t(len(event.Data)), C.int(event.Code)
	}
	return C.int(outcome)
}

// envoxyd_websocket_send reads data only before it returns, unless it returns WRITE_AGAIN: then until
// envoxyd_websocket_resume returns something else.
//
//export envoxyd_websocket_send
func envoxyd_websocket_send(core C.int, serial C.uint32_t, opcode C.int, data *C.char, size C.size_t, fd *C.int, patience *C.int) C.int {
	defer guard()
	f := process.reactor.slots[core].framesOf(uint32(serial))
	if f == nil {
		return writeGone
	}
	*fd, *patience = C.int(f.fd), C.int(f.timeout/time.Millisecond)
	return C.int(f.send(ws.OpCode(opcode), cBytes(data, size)))
}

//export envoxyd_websocket_close
func envoxyd_websocket_close(core C.int, serial C.uint32_t, code C.int, reason *C.char, size C.size_t) {
	defer guard()
	if f := process.reactor.slots[core].framesOf(uint32(serial)); f != nil {
		f.end(ws.StatusCode(code), string(cBytes(reason, size)))
	}
}

//export envoxyd_websocket_resume
func envoxyd_websocket_resume(core C.int, serial C.uint32_t, late C.int, fd *C.int, patience *C.int) C.int {
	defer guard()
	f := process.reactor.slots[core].framesOf(uint32(serial))
	if f == nil {
		return writeGone
	}
	*fd, *patience = C.int(f.fd), C.int(f.timeout/time.Millisecond)
	return C.int(f.resume(late != 0))
}

//export envoxyd_sendfile
func envoxyd_sendfile(core C.int, fd C.int, offset C.longlong, size C.longlong) C.int {
	defer guard()
	return C.int(process.reactor.slots[core].sendFile(int(fd), int64(offset), int64(size)))
}

// envoxyd_open makes core_io.client_fd a descriptor, where the request came without one.
//
//export envoxyd_open
func envoxyd_open(core C.int) {
	defer guard()
	process.reactor.slots[core].openCurrent()
}

//export envoxyd_disconnect
func envoxyd_disconnect(core C.int) {
	defer guard()
	process.reactor.slots[core].disconnect()
}

//export envoxyd_ready
func envoxyd_ready() {
	defer guard()
	process.Ready()
}

//export envoxyd_stop
func envoxyd_stop(status C.int) {
	defer guard()
	process.Stop(stopping, int(status))
}

//export envoxyd_status
func envoxyd_status() C.int {
	defer guard()
	return C.int(process.Status())
}

// envoxyd_chunks copies into room where the chunks of the body end; -1: it did not come in chunks.
//
//export envoxyd_chunks
func envoxyd_chunks(core C.int, room *C.int64_t, size C.int) C.int {
	defer guard()
	chunks := process.reactor.slots[core].response.chunks
	if chunks == nil {
		return -1
	}
	return C.int(copy(unsafe.Slice((*int64)(room), int(size)), chunks.Ends()))
}

//export envoxyd_user_harakiri
func envoxyd_user_harakiri(core C.int, seconds C.int) {
	defer guard()
	process.reactor.slots[core].userHarakiri(int(seconds))
}

//export envoxyd_log_this
func envoxyd_log_this(core C.int) {
	defer guard()
	process.reactor.slots[core].response.forceLog = true
}

//export envoxyd_set_logvar
func envoxyd_set_logvar(core C.int, name *C.char, nameSize C.size_t, value *C.char, size C.size_t) {
	defer guard()
	process.reactor.slots[core].setLogvar(cBytes(name, nameSize), cBytes(value, size))
}

//export envoxyd_get_logvar
func envoxyd_get_logvar(core C.int, name *C.char, nameSize C.size_t, room *C.char, size C.size_t) C.int {
	defer guard()
	return C.int(process.reactor.slots[core].logvar(cBytes(name, nameSize), cBytes(room, size)))
}

// envoxyd_call reads payload only before it returns. What it puts into reply is malloc'ed
// and the caller's: the result for 0, else the text of an error.
//
//export envoxyd_call
func envoxyd_call(core C.int, name *C.char, nameSize C.size_t, operation C.int, payload *C.char, size C.size_t, reply **C.char, replySize *C.size_t) C.int {
	defer guard()
	deliver := func(data []byte) {
		*reply = (*C.char)(C.CBytes(data))
		*replySize = C.size_t(len(data))
	}
	if err := process.calls.call(int(core), string(cBytes(name, nameSize)), int(operation), cBytes(payload, size), deliver); err != nil {
		C.free(unsafe.Pointer(*reply)) // of a service that failed after it had delivered
		deliver([]byte(err.Error()))
		return 1
	}
	return 0
}

//export envoxyd_close_services
func envoxyd_close_services() {
	defer guard()
	process.calls.end(errEnding) // of threads that the application has left behind
	closeServices()
}

// cBytes is C's memory as a slice, for the time of the call.
func cBytes(start *C.char, size C.size_t) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(start)), int(size))
}

//export envoxyd_wakeup_fd
func envoxyd_wakeup_fd() C.int {
	defer guard()
	return C.int(process.wakeup[1])
}
