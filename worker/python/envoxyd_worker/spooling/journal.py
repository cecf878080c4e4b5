"""The journal of a directory of jobs: what makes many small jobs safe with one write each, where syncing a file takes several.

A file system commits a transaction of its own to keep a new file; overwriting bytes that are there already is one write. So in a
burst of jobs the file of a small one is made as ever, for all consumers to see, but not synced; its content goes into a journal
that is. After a restart of the machine the jobs that the journal has, and the directory has not, are written again. Every few
seconds the files themselves are synced, and the journal is emptied; after the burst it is removed. A job that was done in the last
seconds before a power failure may run again, as one may whose removal was not on the disk yet.

A journal is a hidden file of fixed size; a process locks it for each record. There are as many as processes write at the same time.
There are none where other machines may have the directory too: what one of them has done since, its journal still has.
"""
import errno
import fcntl
import os
import re
import struct
import threading
import time
import zlib

from . import files

NAME = ".envoxyd_journal_"
MOST = 16  # journals of a directory
SIZE = 1 << 20
PAGE = 4096
LARGEST = files.ONE_BLOCK  # bytes of a job; a larger one might be there in part while its record is not
BURST = 16  # jobs of a process within a second; more of them go into a journal
OLD = 10  # seconds after which a writer syncs the files itself, if no spooler has

MAGIC = b"jobs"
# Magic number; checksum of all that follows; bytes of path and content; boot; generation and number of the record; when it was
# written, and when the job is due (-1: at once), in seconds.
HEADER = struct.Struct("<4sIHH16sQQqq")
CHECKSUM, REST = struct.Struct("<I"), struct.Struct("<HH16sQQqq")
LAST = 1 << 62  # second that there is room for
BOOT_ID = "/proc/sys/kernel/random/boot_id"
LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "xfs", "zfs"}  # file systems of one machine, on a disk
JOB = re.compile(r"([0-9]{1,%d}/)?%s[^/]+" % (files.LONGEST_PRIORITY, files.PREFIX))


class Record:
    """What the journal has of a job."""

    def __init__(self, path, content, at, boot, generation, number, written):
        self.path, self.content, self.at = path, content, at
        self.boot, self.generation, self.number, self.written = boot, generation, number, written


def pack(path, content, at, boot, generation, number, written):
    """A record as it is in the journal; the path is bytes."""
    rest = REST.pack(len(path), len(content), boot, generation, number, written, -1 if at is None else at) + path + content
    return MAGIC + CHECKSUM.pack(zlib.crc32(rest)) + rest


def generation_of(header):
    return HEADER.unpack(header)[5] if len(header) == HEADER.size else None


def unpack(data, start):
    """(record, where the next one begins); None: there is no whole record."""
    if start + HEADER.size > len(data):
        return None
    magic, checksum, path, content, boot, generation, number, written, at = HEADER.unpack_from(data, start)
    body = start + HEADER.size
    end = body + path + content
    if magic != MAGIC or end > len(data) or zlib.crc32(memoryview(data)[start + 8:end]) != checksum:
        return None
    name = os.fsdecode(data[body:body + path])
    record = Record(name, bytes(data[body + path:end]), None if at < 0 else at, boot, generation, number, written)
    return record, end


def unpack_all(data):
    """(records of the generation that the journal begins with, where they end)."""
    records, end = [], 0
    while True:
        found = unpack(data, end)
        if found is None or records and (found[0].generation, found[0].number) != (records[0].generation, records[-1].number + 1):
            return records, end
        records.append(found[0])
        end = found[1]


class Staged:
    """A record on its way to the disk: what the caller does meanwhile, the disk's time has paid for."""

    def __init__(self, journals, journal):
        self.journals, self.journal = journals, journal

    def finish(self):
        """Has the record on the disk when it returns; False: that cannot be done."""
        try:
            self.journal.commit()
        except OSError:
            return False
        finally:
            self.journals.release(self.journal)
        return True

    def cancel(self):
        """For a job that there is not going to be."""
        try:
            self.journal.withdraw()
        except OSError:
            pass
        finally:
            self.journals.release(self.journal)


class Journals:
    """The journals of one directory, as one process uses them."""

    def __init__(self, directory, say, clock=time.time):
        self.directory, self.clock, self.say = directory, clock, say
        self.boot = boot_id()
        self.local = None  # not known yet
        self.second, self.jobs, self.bursting, self.told = 0, 0, False, ""
        self.pid, self.opened, self.mutex = os.getpid(), [], threading.Lock()

    def begin(self, path, content, at):
        """Begins to write a job into a journal, which is locked until the Staged record is finished or cancelled. None: it is for
        the caller to sync its file."""
        now = int(self.clock())
        if len(content) > LARGEST or at is not None and at > LAST or not self.burst(now) or not self.usable():
            return None
        if self.pid != os.getpid():
            self.forget()
        try:
            journal = self.take()
            if journal is None:
                return None
            try:
                journal.look(now)
                journal.stage(path, content, at, now)
            except BaseException:
                self.release(journal)
                raise
        except OSError:  # a full disk, another user's file, a file system without such locks
            return None
        return Staged(self, journal)

    def usable(self):
        if self.local is None:
            self.local = is_local(self.directory)
        return self.local and self.boot is not None

    def burst(self, second):
        """Counts a job; tells whether there are many."""
        if second != self.second:
            self.bursting = self.jobs > BURST and second == self.second + 1
            self.second, self.jobs = second, 0
        self.jobs += 1
        return self.bursting or self.jobs > BURST

    def forget(self):
        """In a child: locks belong to an open file, which it would share."""
        for one in self.opened:
            os.close(one.fd)
        self.pid, self.opened, self.mutex = os.getpid(), [], threading.Lock()

    def take(self):
        """Locks a journal, which is made if there is none that is free; None: there are enough."""
        for number in range(MOST):
            with self.mutex:
                if number == len(self.opened):
                    self.opened.append(Journal(self, number + 1))
                journal = self.opened[number]
                if journal.busy:
                    continue
                if journal.lock() or journal.reopen() and journal.lock():
                    journal.busy = True
                    return journal
        return None

    def release(self, journal):
        try:
            journal.unlock()
        finally:
            journal.busy = False  # last: a thread that took it earlier would lose its lock to our unlocking

    def there(self):
        """Numbers of the journals that there are."""
        return [number for number in range(1, MOST + 1) if os.path.exists(self.path(number))]

    def settle(self, remove):
        """Syncs the files of the jobs and empties the journals, or removes them, but those in which somebody writes now. After
        a restart of the machine it brings back what was lost."""
        for number in self.there():
            if not self.usable():
                return
            try:
                self.settle_one(number, remove)
            except FileNotFoundError:  # another process was quicker
                continue
            except OSError as error:
                if str(error) != self.told:  # it is tried again and again
                    self.told = str(error)
                    self.say(f"{self.path(number)}: {error}")

    def settle_one(self, number, remove):
        journal = Journal(self, number, make=False)
        try:
            if journal.lock():
                journal.look(None)
                journal.empty()
                if remove:
                    os.unlink(self.path(number))
        finally:
            os.close(journal.fd)

    def path(self, number):
        return os.path.join(self.directory, f"{NAME}{number}")


class Journal:
    """One of them, and how far this process knows it."""

    def __init__(self, of, number, make=True):
        self.of, self.busy, self.name = of, False, of.path(number)
        self.records, self.end = [], 0  # paths of those that are not settled
        self.generation = self.number = self.began = 0
        self.staged = "", 0  # path and size of the record in hand
        self.fd = self.open(make)

    def open(self, make):
        try:
            return os.open(self.name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            if not make:
                raise
            return create(self.of.directory, self.name)

    def reopen(self):
        """Makes one again that was removed; False: it was not."""
        if os.fstat(self.fd).st_nlink:
            return False
        fd = self.open(True)
        os.close(self.fd)
        self.fd, self.records, self.end = fd, [], 0
        return True

    def lock(self):
        """False: another process has it, or has removed it."""
        try:
            fcntl.fcntl(self.fd, files.OFD_SETLK, files.LOCKED)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        if os.fstat(self.fd).st_nlink:
            return True
        self.unlock()
        return False

    def unlock(self):
        fcntl.fcntl(self.fd, files.OFD_SETLK, files.UNLOCKED)

    def look(self, now):
        """Finds out what others have written since; with a time, settles what is OLD."""
        head = os.pread(self.fd, HEADER.size, 0)
        if not head.startswith(MAGIC):
            self.records, self.end = [], 0
        elif not self.records or generation_of(head) != self.generation or \
                generation_of(os.pread(self.fd, HEADER.size, self.end)) == self.generation:
            self.read()
        if now is not None and self.records and not 0 <= now - self.began < OLD:
            self.empty()

    def read(self):
        records, self.end = unpack_all(os.pread(self.fd, SIZE, 0))
        self.records = [one.path for one in records]
        if not records:
            return
        self.generation, self.number, self.began = records[0].generation, records[-1].number, records[0].written
        if records[0].boot != self.of.boot:
            restored = restore(self.of.directory, records)
            self.reset()
            if restored:
                self.of.say(f"{restored} jobs are restored that were not on the disk yet when the machine went down")

    def stage(self, path, content, at, now):
        """Has the system begin to write a record."""
        if not self.records:
            self.generation, self.number, self.end, self.began = int.from_bytes(os.urandom(8), "little"), 0, 0, now
        text = pack(os.fsencode(path), content, at, self.of.boot, self.generation, self.number + 1, now)
        if self.end + len(text) > SIZE and self.records:
            self.empty()
            self.stage(path, content, at, now)
            return
        if os.pwrite(self.fd, text, self.end) != len(text):
            raise OSError(errno.EIO, "a short write")
        os.posix_fadvise(self.fd, self.end, len(text), os.POSIX_FADV_DONTNEED)
        self.staged = path, len(text)

    def commit(self):
        os.fdatasync(self.fd)
        path, size = self.staged
        self.records.append(path)
        self.end += size
        self.number += 1

    def withdraw(self):
        os.pwrite(self.fd, bytes(HEADER.size), self.end)

    def empty(self):
        """Forgets the records, once their files are on the disk."""
        if self.records:
            sync(self.of.directory, self.records)
            self.reset()

    def reset(self):
        os.pwrite(self.fd, bytes(HEADER.size), 0)
        os.fdatasync(self.fd)
        self.records, self.end = [], 0


def boot_id():
    """Which start of the machine this is; None: nobody tells, and there are no journals."""
    try:
        with open(BOOT_ID) as file:
            return bytes.fromhex(file.read().strip().replace("-", ""))
    except (OSError, ValueError):
        return None


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
    """A journal whose blocks are all on the disk, so that writing into it changes nothing else."""
    where = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = os.open(".", os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=where)
        try:
            for _ in range(SIZE // PAGE):  # at once, it would be one large folio, all of which each record goes through
                files.fill(fd, bytes(PAGE), None)
            os.fsync(fd)
            os.link(f"/proc/self/fd/{fd}", os.path.basename(path), dst_dir_fd=where)
            files.sync_directory(where)
            return fd
        except BaseException as error:
            os.close(fd)
            if isinstance(error, FileExistsError):  # another process was quicker
                return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            raise
    finally:
        os.close(where)


def sync(directory, paths):
    """Has those files on the disk that are still there, and the removal of the others as far as the system pleases."""
    left = []
    for path in paths:
        try:
            fd = os.open(os.path.join(directory, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:  # it is done
            continue
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)  # all writes begin before the first is waited for
        os.close(fd)
        left.append(path)
    for folder in {os.path.dirname(path) for path in left}:
        sync_path(os.path.join(directory, folder), os.O_DIRECTORY)
    for path in left:
        sync_path(os.path.join(directory, path), os.O_NOFOLLOW)


def sync_path(path, flags):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except FileNotFoundError:
        return
    try:
        files.sync_directory(fd) if flags & os.O_DIRECTORY else os.fsync(fd)
    finally:
        os.close(fd)


def restore(directory, records):
    """Writes the jobs that are not there, or not whole; returns how many. All are on the disk then."""
    restored = 0
    for one in records:
        if not JOB.fullmatch(one.path):
            continue
        path = os.path.join(directory, one.path)
        try:
            with open(path, "rb") as file:
                whole = file.read(LARGEST + 1) == one.content
        except OSError:
            whole = False
        if not whole:
            files.put(directory, one.path, one.content, one.at)
            restored += 1
    sync(directory, [one.path for one in records])
    return restored
