package process

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"envoxyd/internal/workerspec"
)

func openChannel(t *testing.T) (*Channel, *os.File) {
	t.Helper()
	ours, theirs, err := NewChannel()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func TestReportsComeWithTheirSender(t *testing.T) {
	ours, theirs := openChannel(t)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	fd := int(theirs.Fd())
	for _, message := range []struct {
		text   string
		rights []byte
	}{{`{"kind":"ready","worker":2,"pid":1}`, nil}, {"", nil}, {"nonsense", nil}, {`{"kind":"stopping"}`, unix.UnixRights(pair[0])}} {
		if err := unix.Sendmsg(fd, []byte(message.text), message.rights, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	unix.Close(pair[0])
	r, err := ours.Receive()
	if err != nil || r.Kind != "ready" || r.Worker != 2 || r.Sender != os.Getpid() {
		t.Fatalf("%+v, %v", r, err)
	}
	for range 2 { // an empty message is no end
		if r, err = ours.Receive(); !errors.Is(err, ErrMalformed) {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if r, err = ours.Receive(); err != nil || r.Kind != "stopping" {
		t.Fatalf("%+v, %v", r, err)
	}
	var b [1]byte
	if n, err := unix.Read(pair[1], b[:]); n != 0 || err != nil {
		t.Fatalf("a descriptor that came with a report is still open: %d, %v", n, err)
	}
}

func TestWhatWasWrittenBeforeTheEndArrives(t *testing.T) {
	ours, theirs := openChannel(t)
	for range 3 {
		if _, err := theirs.WriteString(`{"kind":"forked"}`); err != nil {
			t.Fatal(err)
		}
	}
	ours.Finish() // the other end stays open: somebody else has it
	for n := range 3 {
		if _, err := ours.Receive(); err != nil {
			t.Fatalf("report %d: %v", n, err)
		}
	}
	if _, err := ours.Receive(); !errors.Is(err, io.EOF) {
		t.Fatalf("then %v", err)
	}
}

func TestOrdersAreNeverWaitedFor(t *testing.T) {
	ours, theirs := openChannel(t)
	var err error
	for n := 0; n < 100000 && err == nil; n++ {
		err = ours.Send(workerspec.Command{Kind: workerspec.CommandFork, ID: uint64(n), Worker: 1})
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("a reader that does not read: %v", err)
	}
	if err := ours.End(); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	for last := ""; ; {
		n, err := theirs.Read(buffer)
		if n == 0 || err != nil {
			if !strings.Contains(last, `"kind":"fork"`) {
				t.Fatalf("what was sent before the end is lost: %q, %v", last, err)
			}
			return
		}
		last = string(buffer[:n])
	}
}

// FuzzReports feeds whatever a child may send; the states that follow are fuzzed in package master.
func FuzzReports(f *testing.F) {
	f.Add([]byte(`{"kind":"ready","worker":1,"pid":1}`), []byte{})
	f.Add([]byte(`{"kind":"stopping"}`), []byte{28, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte(`{"kind":1e99,"worker":-1}`), []byte{1})
	f.Fuzz(func(t *testing.T, text, control []byte) {
		if messages, err := unix.ParseSocketControlMessage(control); err == nil {
			for _, m := range messages {
				if m.Header.Type == unix.SCM_RIGHTS {
					t.Skip("made-up descriptors would be closed")
				}
			}
		}
		r, err := parseReport(text, control)
		if err == nil && r.Sender <= 0 {
			t.Errorf("a report without a sender: %+v", r)
		}
	})
}
