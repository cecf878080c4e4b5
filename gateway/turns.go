package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"envoxyd/internal/gatewayspec"
)

// turns lets no more requests be under way than there are cores, and has the connections
// that workers keep: a core keeps one at most, so that while all are out every core is busy.
type turns struct {
	most    int
	running *sync.WaitGroup // of goroutines that await the end of a request
	over    func()          // called once no turn is taken after end

	lock    sync.Mutex
	out     int // turns that are taken
	ended   bool
	idle    []*link
	waiting []chan *link
}

// take waits for a turn, and returns the connection that was used last, since its core is the
// likeliest to be awake; nil: one is to be opened. The turn ends with settle or give.
// errNotHanded after end.
func (t *turns) take(ctx context.Context) (*link, error) {
	t.lock.Lock()
	if t.ended {
		t.lock.Unlock()
		return nil, errNotHanded
	}
	if last := len(t.idle) - 1; last >= 0 || t.out < t.most {
		defer t.lock.Unlock()
		t.out++
		if last < 0 {
			return nil, nil
		}
		l := t.idle[last]
		t.idle = t.idle[:last]
		return l, nil
	}
	mine := make(chan *link, 1)
	t.waiting = append(t.waiting, mine)
	t.lock.Unlock()
	select {
	case l, ok := <-mine:
		if !ok {
			return nil, errNotHanded
		}
		return l, nil
	case <-ctx.Done():
	}
	t.lock.Lock()
	if i := slices.Index(t.waiting, mine); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	t.lock.Unlock()
	select {
	case l, ok := <-mine: // it came at the same moment
		if ok {
			t.give(l)
		}
	default:
	}
	return nil, ctx.Err()
}

// give ends a turn. The connection, if there is one, serves another time.
func (t *turns) give(l *link) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if len(t.waiting) > 0 {
		t.waiting[0] <- l
		t.waiting = slices.Delete(t.waiting, 0, 1)
		return
	}
	t.out--
	if t.ended {
		if l != nil {
			l.close()
		}
		t.finish()
		return
	}
	if l != nil {
		t.idle = append(t.idle, l)
	}
}

func (t *turns) finish() {
	if t.ended && t.out == 0 {
		t.over()
	}
}

// settle ends the turn of a request that was answered or has failed: at once if the worker
// says that it keeps the connection, or when it is done with the request.
func (t *turns) settle(ctx context.Context, l *link, err error) {
	switch {
	case err != nil || l.deaf:
		l.close()
		t.give(nil)
	case l.in.Buffered() > 0: // mostly, it has come with the answer
		t.conclude(l)
	default:
		t.running.Go(func() { // ends with the request, the context, or after lingering
			err := l.during(ctx, func() error {
				_ = l.stream.SetReadDeadline(time.Now().Add(lingering)) // an error shows in the read
				if ctx.Err() != nil {
					return ctx.Err()
				}
				_, err := l.in.Peek(1)
				return err
			})
			if err != nil || l.deaf {
				l.close()
				t.give(nil)
				return
			}
			_ = l.stream.SetReadDeadline(time.Time{})
			t.conclude(l)
		})
	}
}

// lingering is how long a worker may be busy with a request that it has answered.
const lingering = 10 * time.Second

func (t *turns) conclude(l *link) {
	if mark, err := l.in.ReadByte(); err != nil || mark != gatewayspec.Link || l.in.Buffered() > 0 {
		l.close()
		l = nil
	}
	t.give(l)
}

// end closes the connections that are not in use; who waits goes away empty-handed. It is called once.
func (t *turns) end() {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.ended = true
	for _, l := range t.idle {
		l.close()
	}
	t.idle = nil
	for _, one := range t.waiting {
		close(one)
	}
	t.waiting = nil
	t.finish()
}
