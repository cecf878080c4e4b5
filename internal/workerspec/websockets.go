package workerspec

// Websockets are the limits of requests that become websockets.
type Websockets struct {
	PingSeconds        int   `json:"ping"`                // between pings; 0: none are sent
	PongSeconds        int   `json:"pong"`                // that a client may take to answer one; 0: any time
	MaxSize            int64 `json:"max_size"`            // of a message, in bytes; 0: no limit
	ContinuationBuffer int64 `json:"continuation_buffer"` // of one in several frames, in bytes; 0: as any
}
