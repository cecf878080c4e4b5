package otlp

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/internal/socketpair"
	"envoxyd/internal/tracing"
)

// started is an intake that runs: control and spans are the ends that others have.
func started(t *testing.T) (control, spans int, taken chan string, ended chan error) {
	t.Helper()
	var fds [4]int
	for i := range 2 {
		pair, err := socketpair.Messages()
		if err != nil {
			t.Fatal(err)
		}
		copy(fds[2*i:], pair[:])
	}
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	})
	if err := unix.SetNonblock(fds[3], true); err != nil {
		t.Fatal(err)
	}
	taken, ended = make(chan string, 4*atOnce), make(chan error, 1)
	in := &intake{control: fds[1], spans: fds[3], record: make([]byte, tracing.MaxRecord), take: func(record []byte) { taken <- string(record) }}
	go func() { ended <- in.run() }()
	return fds[0], fds[2], taken, ended
}

func say(t *testing.T, fd int, text string) {
	t.Helper()
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsAreTakenAsTheyCome(t *testing.T) {
	_, spans, taken, _ := started(t)
	for _, text := range []string{"waited for", "while it dozes", "again"} {
		say(t, spans, text)
		select {
		case got := <-taken:
			if got != text {
				t.Errorf("%q was taken, want %q", got, text)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q was not taken", text)
		}
	}
}

func TestWhatWasSentBeforeTheEndIsTaken(t *testing.T) {
	for _, dozes := range []bool{false, true} {
		control, spans, taken, ended := started(t)
		if dozes {
			say(t, spans, "first")
			<-taken
		}
		const some = 50
		for range some {
			say(t, spans, "record")
		}
		say(t, control, "stop")
		select {
		case err := <-ended:
			if err != nil || len(taken) != some {
				t.Errorf("%d records were taken, %v", len(taken), err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the intake does not end")
		}
	}
}

func TestTheEndOfTheMasterIsTheEnd(t *testing.T) {
	control, _, _, ended := started(t)
	if err := unix.Shutdown(control, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the intake does not end")
	}
}

func TestADozeIsShorterWhenManyCome(t *testing.T) {
	in := &intake{doze: longestDoze}
	for range 10 {
		in.adapt(false, manyRecords+1)
	}
	if in.doze != shortestDoze {
		t.Errorf("%v after many", in.doze)
	}
	in.adapt(false, (fewRecords+manyRecords)/2)
	if in.doze != shortestDoze {
		t.Errorf("%v after some", in.doze)
	}
	for range 10 {
		in.adapt(false, 1)
	}
	if in.doze != longestDoze {
		t.Errorf("%v after few", in.doze)
	}
	if in.adapt(true, 1); in.doze != firstDoze {
		t.Errorf("%v after one that was waited for", in.doze)
	}
}
