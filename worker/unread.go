package worker

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// unread is a part of a response that its client has not taken yet: in memory outside of the heap,
// so that it is the system's again as soon as it is released, or in a file without a name.
type unread struct {
	memory []byte
	file   *os.File
	size   int64
}

// keepUnread copies pieces of a response, as far as the budgets go.
func (w *Worker) keepUnread(pieces [][]byte) (u unread, ok bool) {
	for _, piece := range pieces {
		u.size += int64(len(piece))
	}
	if u.size == 0 {
		return u, true
	}
	memory, files := &w.budgets.responses, &w.budgets.responseFiles
	if memory.take(u.size) {
		var err error
		if u.memory, err = offHeap(int(u.size)); err == nil {
			at := 0
			for _, piece := range pieces {
				at += copy(u.memory[at:], piece)
			}
			return u, true
		}
		memory.give(u.size)
	}
	if !files.take(u.size) {
		w.logLimited(&w.limits.unread, "responses that clients do not read would take more than the %d bytes of --%s: the application waits for them", files.limit, files.option)
		return unread{}, false
	}
	if err := u.write(&w.spool, pieces); err != nil {
		files.give(u.size)
		w.logLimited(&w.limits.unread, "a response that its client does not read cannot be kept, the application waits for it: %v", err)
		return unread{}, false
	}
	return u, true
}

// write makes the file.
func (u *unread) write(s *spool, pieces [][]byte) error {
	file, err := s.file()
	if err != nil {
		return err
	}
	for _, piece := range pieces {
		if _, err := file.Write(piece); err != nil {
			_ = file.Close()
			return err
		}
	}
	u.file = file
	return nil
}

func (u *unread) send(stream *os.File, timeout time.Duration) error {
	if u.file != nil {
		return sendFileRest(stream, &fileRest{file: u.file, size: u.size}, timeout)
	}
	return sendPiece(stream, u.memory, timeout)
}

// releaseUnread gives back what keepUnread has made.
func (w *Worker) releaseUnread(u unread) {
	if u.file != nil {
		_ = u.file.Close()
		w.budgets.responseFiles.give(u.size)
		return
	}
	_ = unix.Munmap(u.memory)
	w.budgets.responses.give(u.size)
}
