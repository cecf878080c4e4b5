package websocket

import (
	"bytes"

	"github.com/gobwas/ws"
)

// AppendHeader appends what stands before a frame's data.
func AppendHeader(out []byte, code ws.OpCode, size int) []byte {
	buffer := bytes.NewBuffer(out)
	_ = ws.WriteHeader(buffer, ws.Header{Fin: true, OpCode: code, Length: int64(size)}) // a Buffer takes all, and the length is valid
	return buffer.Bytes()
}

// AppendFrame appends a whole frame.
func AppendFrame(out []byte, code ws.OpCode, data []byte) []byte {
	return append(AppendHeader(out, code, len(data)), data...)
}

// AppendClose appends the frame that ends a connection.
func AppendClose(out []byte, code ws.StatusCode, reason string) []byte {
	body := ws.NewCloseFrameBody(code, reason)
	return AppendFrame(out, ws.OpClose, body[:min(len(body), mostControl)])
}
