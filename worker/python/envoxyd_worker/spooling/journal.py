"""The journals of a directory of jobs: what makes many small jobs safe with one write each, where a file takes several.

A file system commits a transaction of its own to keep a new file, and another to remove it; overwriting bytes that are there already
is one write. So in a burst a small job is a record in a journal, and nothing else: a spooler runs it from there (reading.py) and
marks it. One that waits longer than a moment, or when the last spooler leaves, becomes a file (settling.py), for all who look into the
directory. Nothing is written into a journal unless a spooler of this instance is there to read it.

A journal is a hidden file of fixed size; a process locks it for each record. There are as many as processes write at the same time, or
as jobs wait. There are none where other machines may have the directory too, since locks and caches may not reach them.
"""
import errno
import os
import threading
import time

from . import files, locks, records

NAME = ".envoxyd_journal_"
MOST = 16  # journals of a directory
SIZE = 1 << 20
PAGE = 4096
LARGEST = 4096  # bytes of a job; larger ones would soon fill a journal
BURST = 16  # jobs of a process within a second; more of them go into a journal
OLD = 10  # seconds after which a writer makes files of jobs that no spooler has come to
LAST = 1 << 62  # second that there is room for
WRITER = 1 << 40  # the byte whose lock a writer has; those of jobs are below it
LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "xfs", "zfs"}  # file systems of one machine, on a disk


class Journals:
    """The journals of one directory, as one process writes them. Threads may share it."""

    def __init__(self, directory, serving, settle, clock=time.time_ns):
        """serving() tells whether a spooler reads them; settle(seconds) makes files of jobs that have waited so long."""
        self.directory, self.serving, self.settle, self.clock = directory, serving, settle, clock
        self.local = None  # not known yet
        self.second, self.jobs, self.bursting, self.settled = 0, 0, False, 0
        self.opened, self.mutex, self.taking = [], threading.RLock(), False
        os.register_at_fork(after_in_child=self.forget)

    def add(self, path, content, at):
        """Whether the job is in a journal now, and on the disk; if not, it is for the caller to make a file of it."""
        now = self.clock()
        if not self.burst(now // 10**9) or len(content) > LARGEST or at is not None and at > LAST or not self.usable():
            return False
        if not self.serving():  # not even an empty journal is made, which nobody would remove
            return False
        path = os.fsencode(path)
        try:
            journal = self.take(records.HEADER.size + len(path) + len(content))
            if journal is None:
                return False
            try:
                # Asked again with the lock, which the last spooler waits for when it leaves.
                return self.serving() and journal.append(path, content, at, now)
            finally:
                self.release(journal)
        except OSError:  # a full disk, another user's file, a file system without such locks
            return False

    def usable(self):
        if self.local is None:
            self.local = is_local(self.directory)
        return self.local

    def burst(self, second):
        """Counts a job; tells whether there are many."""
        if second != self.second:
            self.bursting = self.jobs > BURST and second == self.second + 1
            self.second, self.jobs = second, 0
            if self.opened and not 0 <= second - self.settled < OLD:
                self.settled = second
                self.settle(OLD)
        self.jobs += 1
        return self.bursting or self.jobs > BURST

    def forget(self):
        """In a child: locks belong to an open file, which it would share, and keep should this process be killed."""
        for one in self.opened:
            close(one.fd)
        self.opened, self.mutex, self.taking = [], threading.RLock(), False

    def take(self, size):
        """Locks a journal that has room, which is made if there is none; None: there are enough."""
        for number in range(MOST):
            with self.mutex:
                if self.taking:  # a signal handler that has interrupted this very thread
                    return None
                self.taking = True
                try:
                    if number == len(self.opened):
                        self.opened.append(Journal(self.directory, number + 1))
                    journal = self.opened[number]
                    if journal.busy or journal.full(size) or not (journal.lock() or journal.reopen() and journal.lock()):
                        continue
                    journal.busy = True
                finally:
                    self.taking = False
            try:
                if journal.room(size):
                    return journal
            except BaseException:
                self.release(journal)
                raise
            self.release(journal)
        return None

    def release(self, journal):
        try:
            journal.unlock()
        finally:
            journal.busy = False  # last: a thread that took it earlier would lose its lock to our unlocking


class Journal:
    """One of them, open, and how far this process knows it."""

    def __init__(self, directory, number, make=True):
        self.directory, self.busy, self.name = directory, False, path_of(directory, number)
        self.forget()
        self.open(make)

    def forget(self):
        self.generation, self.number, self.end = None, 0, 0
        self.undone = 0  # where the first job begins that may be waiting

    def open(self, make):
        while True:
            try:
                self.fd = os.open(self.name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                break
            except FileNotFoundError:
                if not make:
                    raise
                create(self.directory, self.name)
        self.link = f"/proc/self/fd/{self.fd}"
        self.place = os.readlink(self.link)

    def reopen(self):
        """Opens one again that was removed, or makes it; False: it was not."""
        if not self.removed():
            return False
        old = self.fd
        self.open(True)
        close(old)
        self.forget()
        return True

    def removed(self):
        """Whether the file has lost its name, or its directory has. Not by fstat(): where one has looked, the next write has its time
        noted to the nanosecond, and that costs a transaction of the file system."""
        place = os.readlink(self.link)
        return place != self.place or place.endswith(" (deleted)")

    def lock(self):
        """Makes this process its only writer. False: another one is, or has removed it."""
        if not locks.lock(self.fd, WRITER, 1):
            return False
        if not self.removed():
            return True
        self.unlock()
        return False

    def unlock(self):
        locks.unlock(self.fd, WRITER, 1)

    def hold(self, record):
        """Whether nobody else has the job in hand, and it is waiting; it is this file's until let go of."""
        if not locks.lock(self.fd, byte_of(record), 1):
            return False
        head = os.pread(self.fd, records.HEADER.size, record.offset)
        if records.place(head) == (record.generation, record.number) and records.state(head) == records.WAITING:
            return True
        record.waiting = False
        self.let_go(record)
        return False

    def let_go(self, record):
        locks.unlock(self.fd, byte_of(record), 1)

    def mark(self, record, state=records.DONE):
        """The job, which this file holds, is done, or has become a file."""
        os.pwrite(self.fd, state, record.offset + records.STATE)
        record.waiting, record.moved = False, state == records.MOVED

    def all(self):
        """All records that it has."""
        return records.unpack_all(os.pread(self.fd, SIZE, 0))

    def room(self, size):
        """Whether a record of that size has room at the end. It begins anew when all of its jobs are done."""
        self.catch_up()
        if self.end + size <= SIZE:
            return True
        undone = records.first_undone(os.pread(self.fd, self.end - self.undone, self.undone))
        if undone is not None:
            self.undone += undone
            return False
        self.forget()
        return size <= SIZE

    def full(self, size):
        """Whether it is known, without the lock, that room() would say no: what was the first job that is not done still is."""
        if self.end + size <= SIZE or self.removed():
            return False
        first = records.place(os.pread(self.fd, records.HEADER.size, 0))
        head = os.pread(self.fd, records.HEADER.size, self.undone)
        return first is not None and first[0] == self.generation and records.state(head) != records.DONE

    def catch_up(self):
        """Finds out what others have written since."""
        self.begins_anew()
        following = records.place(os.pread(self.fd, records.HEADER.size, self.end))
        if following is not None and (self.generation is None or following == (self.generation, self.number + 1)):
            self.read_on(SIZE - self.end)

    def begins_anew(self):
        """Whether other jobs are where those were that are known; these are forgotten then."""
        first = records.place(os.pread(self.fd, records.HEADER.size, 0))
        if self.generation is None or first is not None and first[0] == self.generation:
            return False
        self.forget()
        return True

    def read_on(self, size):
        """The records behind those that are known, of so many bytes."""
        found = records.unpack_all(os.pread(self.fd, size, self.end), self.generation, self.number, self.end)
        if found:
            self.generation, self.number, self.end = found[-1].generation, found[-1].number, found[-1].offset + found[-1].size
        return found

    def append(self, path, content, at, now):
        """Whether the job is on the disk, or done already; it is withdrawn otherwise."""
        generation = int.from_bytes(os.urandom(8), "little") if self.generation is None else self.generation
        text = records.pack(path, content, at, generation, self.number + 1, now)
        if os.pwrite(self.fd, text, self.end) != len(text):
            raise OSError(errno.EIO, "a short write")
        try:
            os.fdatasync(self.fd)
            withdrawn = False
        except OSError:
            withdrawn = self.withdraw(text)
        self.generation, self.number, self.end = generation, self.number + 1, self.end + len(text)
        return not withdrawn

    def withdraw(self, text):
        """Takes back what has just been written; False: a spooler has it already. It keeps its place: a spooler may have read it, and
        would take the next job there for this one."""
        record = records.unpack(text, 0)
        record.offset = self.end
        mine = self.hold(record)
        if mine:
            try:
                self.mark(record)
            finally:
                self.let_go(record)
        # The kernel does not try to write those pages again, and later records are worth nothing without this one.
        for start, end in (0, records.STATE), (records.STATE + 1, len(text)):
            os.pwrite(self.fd, text[start:end], self.end + start)
        return mine


def close(fd):
    """Closes a journal; not what the application has opened since, should it have closed all descriptors."""
    try:
        if os.path.basename(os.readlink(f"/proc/self/fd/{fd}")).startswith(NAME):
            os.close(fd)
    except OSError:
        pass


def path_of(directory, number):
    return os.path.join(directory, f"{NAME}{number}")


def numbers(names):
    """Those of the journals among the names in a directory."""
    found = (name[len(NAME):] for name in names if name.startswith(NAME))
    return sorted(int(text) for text in found if text.isdecimal())


def byte_of(record):
    """The byte whose lock stands for a job. Not its place: the next generation has another job there."""
    return (record.generation + record.number) % WRITER


def is_local(directory):
    """Whether the file system of a directory is one that no other machine has."""
    try:
        device = os.stat(directory).st_dev
        with open("/proc/self/mountinfo") as file:
            for line in file:
                fields = line.split()
                if fields[2] == f"{os.major(device)}:{os.minor(device)}":
                    return fields[fields.index("-") + 1] in LOCAL
    except (OSError, ValueError, IndexError):
        pass
    return False


def create(directory, path):
    """Makes a journal whose blocks are all on the disk, so that writing into it changes nothing else."""
    where = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = os.open(".", os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=where)
        try:
            for _ in range(SIZE // PAGE):  # at once, it would be one large folio, all of which each record goes through
                files.fill(fd, bytes(PAGE), None)
            os.fsync(fd)
            os.link(f"/proc/self/fd/{fd}", os.path.basename(path), dst_dir_fd=where)
            files.sync_directory(where)
        except FileExistsError:  # another process was quicker
            pass
        finally:
            os.close(fd)
    finally:
        os.close(where)
