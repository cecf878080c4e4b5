"""Jobs of journals become files: what waits longer than a moment is for all to see, and nothing is left when the last spooler goes.

The order of the steps is what keeps a job from being lost, and from running twice, if the process is killed between any two of them:
the file is written under a hidden name, the job is marked in the journal as moved, the file gets its name, the job is marked as done.
Who comes next names the hidden files of jobs that have moved, and removes the others: their jobs wait in the journal, or a spooler has
run them from there since. All happens while the journal is locked, and no journal begins anew with a job that is not done.
"""
import os
import time

from . import files, journal, records

AT_ONCE = 64  # files that are open at the same time, and jobs that are marked by one sync
PAUSE = 0.002  # seconds between two attempts to lock a journal


class Settling:
    """For the journals of one directory. Whoever makes files calls moved(), since others may have passed those jobs over."""

    def __init__(self, directory, say, moved, clock=time.time_ns):
        self.directory, self.say, self.moved, self.clock = directory, say, moved, clock
        self.told = ""

    def settle(self, seconds, remove=False, patience=0, most=None):
        """Makes files of the jobs that have waited so long and that nobody has in hand, of at most so many of a journal. With remove,
        journals without a waiting job are removed. Journals that are being written are passed over, or waited for so many seconds."""
        for number in self.there():
            try:
                self.settle_one(number, seconds, remove, time.monotonic() + patience, most)
            except FileNotFoundError:  # another process was quicker
                continue
            except OSError as error:
                if str(error) != self.told:  # it is tried again and again
                    self.told = str(error)
                    self.say(f"{journal.path_of(self.directory, number)}: {error}")

    def there(self):
        return [number for number in range(1, journal.MOST + 1) if os.path.lexists(journal.path_of(self.directory, number))]

    def waiting(self):
        """The jobs that are in journals, in hand or not."""
        found = []
        for number in self.there():
            try:
                one = journal.Journal(self.directory, number, make=False)
            except OSError:
                continue
            try:
                found += (record for record in one.all() if record.waiting and records.valid(record.path))
            finally:
                os.close(one.fd)
        return found

    def settle_one(self, number, seconds, remove, until, most):
        one = journal.Journal(self.directory, number, make=False)
        try:
            while not one.lock():
                if time.monotonic() >= until or one.removed():
                    return
                time.sleep(PAUSE)
            where = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self.settle_locked(one, number, where, seconds, remove, most)
            finally:
                os.close(where)
        finally:
            os.close(one.fd)  # and its locks with it

    def settle_locked(self, one, number, where, seconds, remove, most):
        found = one.all()
        moved = self.finish(one, number, where, found)
        before = self.clock() - seconds * 10**9
        old = [record for record in found if record.waiting and (not seconds or record.written <= before)][:most]
        try:
            for first in range(0, len(old), AT_ONCE):
                moved += self.move(one, number, where, old[first:first + AT_ONCE])
            done(one, where, found)
        finally:
            if moved:
                self.moved()
        if remove and not any(record.waiting for record in found):
            files.sync_directory(where)
            os.unlink(one.name)
            os.ftruncate(one.fd, 0)  # writers have it open until they write again

    def move(self, one, number, where, some):
        """Makes files of some of the jobs; returns how many."""
        held = [record for record in some if one.hold(record)]
        valid = [record for record in held if records.valid(record.path)]  # the others: nothing is written elsewhere
        try:
            for below in {records.priority(record.path) for record in valid} - {""}:
                files.folder(self.directory, below.encode())
            write(where, number, valid)
            for record in held:
                one.mark(record, records.MOVED if record in valid else records.DONE)
            os.fdatasync(one.fd)
            for record in valid:
                os.rename(hidden(number, record.path), record.path, src_dir_fd=where, dst_dir_fd=where)
        finally:
            for record in held:
                one.let_go(record)
        return len(valid)

    def finish(self, one, number, where, found):
        """What a process that was killed, or a full disk, has left; how many files it names."""
        moved = {hidden(number, record.path): record.path for record in found if record.moved and records.valid(record.path)}
        named = 0
        for name in os.listdir(where):
            if not name.startswith(hidden(number, "")):
                continue
            if name not in moved:
                os.unlink(name, dir_fd=where)
                continue
            if records.priority(moved[name]):  # somebody may have tidied up an empty directory
                files.folder(self.directory, records.priority(moved[name]).encode())
            os.rename(name, moved[name], src_dir_fd=where, dst_dir_fd=where)
            named += 1
        done(one, where, found)
        return named


def hidden(number, path):
    """The name of a file on its way out of the journal of that number."""
    return f"{journal.NAME}{number}." + path.replace("/", ":")


def write(where, number, some):
    """Has hidden files with the jobs on the disk."""
    opened = []
    try:
        for record in some:
            name = hidden(number, record.path)
            opened.append(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=where))
            files.fill(opened[-1], record.content, record.at)
            if record.at is None:  # its order among the others
                os.utime(opened[-1], ns=(record.written, record.written))
        for fd in opened:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # all writes begin before the first is waited for
        for fd in opened:
            os.fsync(fd)
        files.sync_directory(where)
    finally:
        for fd in opened:
            os.close(fd)


def done(one, where, found):
    """Jobs whose files have their names are done: only when those names are on the disk."""
    moved = [record for record in found if record.moved]
    if moved:
        files.sync_directory(where)
    for record in moved:
        one.mark(record)
