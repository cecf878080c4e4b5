package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"envoxyd/internal/gatewayspec"
	"envoxyd/internal/scmrights"
)

// Answer is the head of the answer to a call.
type Answer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Kind  string `json:"kind,omitempty"` // of an error: full, timeout, lost, unknown, invalid
}

// Refuse is the answer to a call that has failed.
func Refuse(kind string, err error) Answer { return Answer{Kind: kind, Error: err.Error()} }

const (
	maxHead    = 1 << 20   // the register call's, with the whole configuration, comes as payload
	maxPayload = 256 << 20 // MQTT's own bound
)

// AcceptCalls takes the streams that workers send over the calls socket, and has each served by a
// goroutine until the process ends.
func (p *Process) AcceptCalls(serve func(net.Conn)) {
	p.AcceptStreams(func(fd int) {
		file := os.NewFile(uintptr(fd), "calls")
		stream, err := net.FileConn(file)
		file.Close()
		if err != nil {
			p.Errorf("a worker's call was lost: %v", err)
			return
		}
		p.Running.Go(func() {
			defer stream.Close()
			stop := context.AfterFunc(p.Ctx, func() { stream.Close() })
			defer stop()
			serve(stream)
		})
	})
}

// AcceptStreams takes the streams that workers send over the calls socket. Serve owns the descriptor and does not wait.
func (p *Process) AcceptStreams(serve func(fd int)) {
	fd := p.Spec.CallsFD
	if err := unix.SetNonblock(fd, true); err != nil {
		p.Errorf("%v", err)
		return
	}
	socket := os.NewFile(uintptr(fd), "calls")
	stop := context.AfterFunc(p.Ctx, func() { socket.Close() })
	defer stop()
	raw, err := socket.SyscallConn()
	if err != nil {
		p.Errorf("%v", err)
		return
	}
	for p.Ctx.Err() == nil {
		_, stream, err := receive(raw, make([]byte, 16))
		if err == nil && stream < 0 {
			err = scmrights.ErrNone
		}
		if err != nil {
			if p.Ctx.Err() == nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.EOF) {
				p.Errorf("a worker's call was lost: %v", err)
				continue
			}
			return
		}
		serve(stream)
	}
}

// ReadFrame reads a call, or the answer to one.
func ReadFrame(r io.Reader) (head, payload []byte, err error) {
	var start [gatewayspec.FrameHeadSize]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, nil, err
	}
	sizes := gatewayspec.ParseFrameHead(&start)
	if sizes.HeadSize > maxHead || sizes.PayloadSize > maxPayload {
		return nil, nil, fmt.Errorf("a call of %d and %d bytes", sizes.HeadSize, sizes.PayloadSize)
	}
	text := make([]byte, int(sizes.HeadSize)+int(sizes.PayloadSize))
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, nil, err
	}
	return text[:sizes.HeadSize], text[sizes.HeadSize:], nil
}

// SplitFrame is ReadFrame of what has come so far; whole: that is all of the frame.
func SplitFrame(text []byte) (head, payload []byte, whole bool, err error) {
	const start = gatewayspec.FrameHeadSize
	if len(text) < start {
		return nil, nil, false, nil
	}
	sizes := gatewayspec.ParseFrameHead((*[start]byte)(text))
	if sizes.HeadSize > maxHead || sizes.PayloadSize > maxPayload {
		return nil, nil, false, fmt.Errorf("a call of %d and %d bytes", sizes.HeadSize, sizes.PayloadSize)
	}
	end := start + int(sizes.HeadSize)
	if len(text) < end+int(sizes.PayloadSize) {
		return nil, nil, false, nil
	}
	return text[start:end], text[end : end+int(sizes.PayloadSize)], true, nil
}

// AppendFrame appends the answer to a call.
func AppendFrame(dst []byte, reply *Answer, payload []byte) ([]byte, error) {
	head, err := json.Marshal(reply)
	if err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, gatewayspec.FrameHeadSize+len(head)+len(payload))
	dst = gatewayspec.FrameHead{HeadSize: uint32(len(head)), PayloadSize: uint32(len(payload))}.Append(dst)
	return append(append(dst, head...), payload...), nil
}

// WriteFrame writes the answer to a call.
func WriteFrame(w io.Writer, reply *Answer, payload []byte) error {
	text, err := AppendFrame(nil, reply, payload)
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}
