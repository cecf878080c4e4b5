// Package m2m is what Envoxy services say to each other over ZeroMQ: requests and replies in
// JSON, the frames around them, and how addresses and keys are written in envoxy.json.
package m2m

import (
	"encoding/json"
	"errors"
)

// Performatives are the verbs of requests, by their number.
var Performatives = [...]string{"GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "REPLY", "SEARCH", "NOTIFY", "TRACE", "CONNECT"}

// PerformativeReply marks replies.
const PerformativeReply = 7

// MaxMessage bounds a frame, and what a reply may hold.
const MaxMessage = 64 << 20

// ErrFrames is about a message of another form.
var ErrFrames = errors.New("a message has two empty frames and a JSON object")

// Request is what a peer asks.
type Request struct {
	Performative json.Number     `json:"performative"`
	Resource     string          `json:"resource"`
	Headers      map[string]any  `json:"headers"`
	Params       map[string]any  `json:"params"`
	Payload      json.RawMessage `json:"payload"`
}

// Method is the request's verb; false for a performative that is none.
func (r *Request) Method() (string, bool) {
	n, err := r.Performative.Int64()
	if err != nil || n < 0 || int(n) >= len(Performatives) || n == PerformativeReply {
		return "", false
	}
	return Performatives[n], true
}

// Reply is what a peer is answered.
type Reply struct {
	Protocol     string            `json:"protocol"`
	Performative int               `json:"performative"`
	Resource     string            `json:"resource"`
	Status       int               `json:"status"`
	Headers      map[string]string `json:"headers"`
	Payload      json.RawMessage   `json:"payload"`
}

// Text takes the JSON out of a message's frames. Of the two empty ones before it, some peers send less.
func Text(frames [][]byte) ([]byte, error) {
	if len(frames) == 0 || len(frames) > 3 {
		return nil, ErrFrames
	}
	last := len(frames) - 1
	for _, frame := range frames[:last] {
		if len(frame) != 0 {
			return nil, ErrFrames
		}
	}
	return frames[last], nil
}
