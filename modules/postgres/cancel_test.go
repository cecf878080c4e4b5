package postgres

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"envoxyd/modules/postgres/pool"
	"envoxyd/modules/postgres/problem"
	"envoxyd/modules/postgres/types"
)

var errTest = errors.New("as the test wants it")

// askWith is askIn with a context.
func askWith(ctx context.Context, s *Service, transaction int64, sql string) (string, *problem.Problem) {
	reply, place, err := s.query(ctx, new(types.Encoder), "main", transaction, sql, []any{})
	if err != nil {
		return "", problemOf(ctx, err, place)
	}
	return string(reply), nil
}

const asleep = "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like '%pg_sleep%'"

func countIs(t *testing.T, s *Service, sql, want string) bool {
	t.Helper()
	got, err := ask(s, "select ("+sql+")::text as v")
	if err != nil {
		t.Fatal(err)
	}
	return got == oneText("v", want)
}

// cancelWhile has sql begin, and its context end then; what the call says.
func cancelWhile(t *testing.T, s, other *Service, transaction int64, sql string) *problem.Problem {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var got *problem.Problem
	var call sync.WaitGroup
	call.Go(func() { _, got = askWith(ctx, s, transaction, sql) })
	eventually(t, "the server is at it", func() bool { return countIs(t, other, asleep, "1") })
	began := time.Now()
	cancel(errTest)
	call.Wait()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the call lasted %v more", took)
	}
	eventually(t, "the server has given it up", func() bool { return countIs(t, other, asleep, "0") })
	if got == nil || got.SQLState != queryCanceled || got.Lost || !strings.Contains(got.Message, errTest.Error()) {
		t.Errorf("the call says %+v", got)
	}
	return got
}

func endedContextCancels(t *testing.T, p *private) {
	other := service(t, p, nil)
	for mode := range pool.Modes {
		for _, more := range []map[string]any{{}, {"schema": "public"}} {
			more["default_query_exec_mode"], more["max_conn"] = mode, 1
			s := service(t, p, more)
			before, err := ask(s, "select pg_backend_pid()")
			if err != nil {
				t.Fatal(err)
			}
			cancelWhile(t, s, other, 0, "select pg_sleep(60)")
			if after, err := ask(s, "select pg_backend_pid()"); err != nil || after != before {
				t.Errorf("%s: the connection was given up: %q, then %q, %v", mode, before, after, err)
			}
		}
	}
}

func endedContextInTransaction(t *testing.T, p *private) {
	other, s := service(t, p, nil), service(t, p, map[string]any{"max_conn": 1})
	if _, err := ask(s, "create table if not exists given_up (a int)"); err != nil {
		t.Fatal(err)
	}
	number := begin(t, s)
	if _, err := askIn(s, number, "insert into given_up values (1)"); err != nil {
		t.Fatal(err)
	}
	cancelWhile(t, s, other, number, "select pg_sleep(60)")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.end(ended, number, false); err != nil { // with a context that has ended too
		t.Error(err)
	}
	if !countIs(t, s, "select count(*) from given_up", "0") {
		t.Error("it was not rolled back")
	}
	if n := s.servers["main"].Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are still in use", n)
	}
}

// endedContextBeforeTheStatement: nothing was sent, so nothing is lost.
func endedContextBeforeTheStatement(t *testing.T, p *private) {
	s := service(t, p, map[string]any{"max_conn": 1})
	number := begin(t, s)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTest)
	for _, transaction := range []int64{number, 0} {
		if _, got := askWith(ctx, s, transaction, "select 1"); got == nil || got.SQLState != queryCanceled || got.Lost {
			t.Errorf("%+v", got)
		}
	}
	if _, err := askIn(s, number, "select 1"); err != nil {
		t.Error(err)
	}
	if _, _, err := s.end(t.Context(), number, true); err != nil {
		t.Error(err)
	}
}

func otherCallsGoOn(t *testing.T, p *private) {
	other, s := service(t, p, nil), service(t, p, nil)
	var calls sync.WaitGroup
	begun := make(chan struct{})
	calls.Go(func() {
		close(begun)
		for range 200 {
			if _, err := ask(s, "select 1"); err != nil {
				t.Error(err)
			}
		}
	})
	<-begun
	cancelWhile(t, s, other, 0, "select pg_sleep(60)")
	calls.Wait()
}

func endedContextWaitsForNoConnection(t *testing.T, p *private) {
	s := service(t, p, map[string]any{"max_conn": 1, "conn_timeout": 60})
	number := begin(t, s)
	ctx, cancel := context.WithCancelCause(t.Context())
	var got *problem.Problem
	var call sync.WaitGroup
	call.Go(func() { _, got = askWith(ctx, s, 0, "select 1") }) // before it waits, or while
	cancel(errTest)
	call.Wait()
	if got == nil || got.SQLState != queryCanceled || got.Lost {
		t.Errorf("%+v", got)
	}
	if _, _, err := s.end(t.Context(), number, true); err != nil {
		t.Error(err)
	}
	mustBeText(t, s, "1", "1")
}

// interruptHandledWhileWaiting: what the descriptor announces is seen to on the thread that waits, and may end the call.
func interruptHandledWhileWaiting(t *testing.T, p *private) {
	other, s := service(t, p, nil), service(t, p, map[string]any{"max_conn": 1})
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	number := begin(t, s)
	handled := make(chan *problem.Problem, 2)
	stop := false
	handle := func() bool {
		_, _ = unix.Read(pipe[0], make([]byte, 8))
		_, got := askWith(t.Context(), s, number, "select 1") // by the thread whose statement it is that waits
		handled <- got
		if stop {
			cancel(errTest)
		}
		stop = !stop
		return !stop
	}
	ctx = pool.WithInterrupt(ctx, &pool.Interrupt{FD: pipe[0], Handle: handle})
	var got *problem.Problem
	var call sync.WaitGroup
	call.Go(func() { _, got = askWith(ctx, s, number, "select pg_sleep(60)") })
	eventually(t, "the server is at it", func() bool { return countIs(t, other, asleep, "1") })
	for range 2 {
		if _, err := unix.Write(pipe[1], []byte{1}); err != nil {
			t.Fatal(err)
		}
		if err := <-handled; err == nil || !strings.Contains(err.Message, "busy") {
			t.Errorf("a statement inside another: %v", err)
		}
	}
	call.Wait()
	if got == nil || got.SQLState != queryCanceled {
		t.Errorf("%+v", got)
	}
	if _, _, err := s.end(t.Context(), number, false); err != nil {
		t.Error(err)
	}
	mustBeText(t, s, "1", "1")
}

func closeWhileATransactionIsBusy(t *testing.T, p *private) {
	other, s := service(t, p, nil), service(t, p, nil)
	number := begin(t, s)
	ctx, cancel := context.WithCancelCause(t.Context())
	var call sync.WaitGroup
	call.Go(func() { _, _ = askWith(ctx, s, number, "select pg_sleep(60)") })
	eventually(t, "the server is at it", func() bool { return countIs(t, other, asleep, "1") })
	began := time.Now()
	cancel(errTest)
	s.Close()
	if took := time.Since(began); took > pool.CloseWait*3/4 {
		t.Errorf("it took %v", took)
	}
	call.Wait()
}

func TestCancelWithoutAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for a timeout")
	}
	p := startPrivate(t)
	s := service(t, p, map[string]any{"max_conn": 1})
	mustBeText(t, s, "1", "1")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var got *problem.Problem
	var call sync.WaitGroup
	call.Go(func() { _, got = askWith(ctx, s, 0, "select pg_sleep(60)") })
	other := service(t, p, nil)
	eventually(t, "the server is at it", func() bool { return countIs(t, other, asleep, "1") })
	resume := p.freeze()
	defer resume()
	cancel(errTest)
	call.Wait() // as long as pool.cancelTime
	if got == nil || got.SQLState != queryCanceled {
		t.Errorf("%+v", got)
	}
}

// freeze stops the server and all its sessions.
func (p *private) freeze() (resume func()) {
	p.t.Helper()
	pids := []int{p.process.Process.Pid}
	children, err := os.ReadFile("/proc/" + strconv.Itoa(pids[0]) + "/task/" + strconv.Itoa(pids[0]) + "/children")
	if err != nil {
		p.t.Skip(err)
	}
	for _, field := range strings.Fields(string(children)) {
		if number, err := strconv.Atoi(field); err == nil {
			pids = append(pids, number)
		}
	}
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGSTOP) // it may have ended
	}
	return func() {
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGCONT)
		}
	}
}
