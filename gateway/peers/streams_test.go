package peers

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/gateway/sidecar"
	"envoxyd/internal/gatewayspec"
	"envoxyd/transports/zmq"
)

func TestCallsOfAWorker(t *testing.T) {
	loop, err := zmq.Open(t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	p := &peers{loop: loop, clients: map[string]*zmq.Client{}}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p.serveCalls(fds[1])
	worker := os.NewFile(uintptr(fds[0]), "worker")
	long := bytes.Repeat([]byte("x"), 3<<20) // it comes in many parts
	for _, one := range []struct {
		head    any
		payload []byte
		want    sidecar.Answer
	}{
		{map[string]any{"op": "dance"}, long, sidecar.Answer{Kind: "invalid", Error: "no such call"}},
		{map[string]any{"op": "zmq", "server": map[string]any{"bind": "udp://h:1"}}, nil, sidecar.Answer{Kind: "invalid", Error: "tcp://host:port"}},
		{map[string]any{"op": "zmq", "seconds": 0.05, "server": map[string]any{"host": "127.0.0.1", "port": "1"}}, []byte("{}"), sidecar.Answer{Kind: "timeout", Error: "cannot be reached"}},
		{"no object", nil, sidecar.Answer{Kind: "invalid"}},
	} {
		head, err := json.Marshal(one.head)
		if err != nil {
			t.Fatal(err)
		}
		frame := gatewayspec.FrameHead{HeadSize: uint32(len(head)), PayloadSize: uint32(len(one.payload))}.Append(nil)
		if _, err := worker.Write(append(append(frame, head...), one.payload...)); err != nil {
			t.Fatal(err)
		}
		text, _, err := sidecar.ReadFrame(worker)
		if err != nil {
			t.Fatal(err)
		}
		var got sidecar.Answer
		if err := json.Unmarshal(text, &got); err != nil || got.Kind != one.want.Kind || !strings.Contains(got.Error, one.want.Error) {
			t.Errorf("%v: %+v, %v", one.head, got, err)
		}
	}
	worker.Close()
}
