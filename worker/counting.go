package worker

import (
	"os"

	"envoxyd/internal/shm"
	"envoxyd/internal/workerspec"
	"envoxyd/modules/postgres"
	"envoxyd/modules/postgres/pool"
)

// openTallies maps the counters of all processes, and has services count there.
func (w *Worker) openTallies() error {
	if w.spec.TalliesFD <= 0 {
		return nil
	}
	var err error
	if w.tallies, err = shm.OpenTallies(w.spec.TalliesFD); err != nil {
		return err
	}
	if service, is := services["postgres"].(*postgres.Service); is {
		service.Count(w.poolFigures)
	}
	return nil
}

// poolFigures is where the pools of a server count.
func (w *Worker) poolFigures(key string) pool.Figures {
	counts := w.tallies.Of(workerspec.TallyPool+key, w.row)
	now := w.tallies.Reading(workerspec.ReadingsPool+key, os.Getpid())
	return pool.Figures{
		Open: &now[workerspec.ReadingOpen], InUse: &now[workerspec.ReadingInUse], Waiting: &now[workerspec.ReadingWaiting], Limit: &now[workerspec.ReadingLimit],
		Opened: &counts[workerspec.CountOpened], Acquired: &counts[workerspec.CountAcquired], Waited: &counts[workerspec.CountWaited],
		WaitMicros: &counts[workerspec.CountWaitMicros], TimedOut: &counts[workerspec.CountTimedOut],
	}
}

// socketTally is where what comes by a socket is counted; nil: nowhere.
func (w *Worker) socketTally(socket *workerspec.Socket) *shm.Tally {
	if w.tallies == nil {
		return nil
	}
	return w.tallies.Of(workerspec.TallySocket+socket.Protocol+"\x00"+socket.Name, w.row)
}

// count adds one to a counter of the socket.
func (l *listener) count(counter int) {
	if l.tally != nil {
		l.tally[counter].Add(1)
	}
}
