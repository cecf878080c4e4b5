"""Files of jobs, as uWSGI writes and reads them: a header, pairs of keys and values, and a body up to the end.

A file has its name when all of it is written. When write() returns, the job is on the disk, here or in a journal.
"""
import errno
import itertools
import os
import re
import stat
import struct
import time

from . import locks

PREFIX = "uwsgi_spoolfile_on_"
MODIFIER = 17
LARGEST = 0xFFFF  # bytes of all pairs
ONE_BLOCK = 4096  # what a file system writes as a whole or not at all
LONGEST_PRIORITY = 18  # digits

HEADER = struct.Struct("<BHB")
LENGTH = struct.Struct("<H")

_written = itertools.count(1)


class Broken(ValueError):
    """A file that is no job."""


def pack(pairs):
    """Pairs of bytes as the block of a uwsgi packet."""
    pieces = []
    for pair in pairs:
        for text in pair:
            if not isinstance(text, bytes):
                raise ValueError("keys and values of a job are bytes")
            if len(text) > LARGEST:
                raise ValueError(f"a key or value of {len(text)} bytes is too long for a job: its place is the body")
            pieces += LENGTH.pack(len(text)), text
    block = b"".join(pieces)
    if len(block) > LARGEST:
        raise ValueError(f"keys and values of a job are {len(block)} bytes, more than {LARGEST}: the place for more is the body")
    return block


def unpack(block):
    """The pairs of a block."""
    pairs, at = {}, 0
    while at < len(block):
        key, at = _text(block, at)
        value, at = _text(block, at)
        pairs[key] = value
    return pairs


def _text(block, at):
    start = at + LENGTH.size
    if start > len(block):
        raise Broken("a length is cut off")
    end = start + LENGTH.unpack_from(block, at)[0]
    if end > len(block):
        raise Broken("a key or value is cut off")
    return block[start:end], end


def encode(pairs, body):
    """The content of a job's file. Raises ValueError for what has no place there."""
    block = pack(pairs)
    if not isinstance(body, bytes):
        raise ValueError("the body of a job is bytes")
    return HEADER.pack(MODIFIER, len(block), 0) + block + body


def parse(data):
    """(pairs, body) of a file's content."""
    if len(data) < HEADER.size:
        raise Broken(f"it has {len(data)} bytes, which is less than a header")
    _, size, _ = HEADER.unpack_from(data)
    body = HEADER.size + size
    if len(data) < body:
        raise Broken(f"{body - len(data)} bytes are missing")
    return unpack(data[HEADER.size:body]), data[body:]


def seconds(text):
    """The time that the value of `at` begins with, as atol() reads it; 0 where there is none."""
    found = re.match(rb"\s*([+-]?\d+)", text)
    return int(found.group(1)) if found else 0


def folder(directory, priority):
    """The directory of a job with this priority, which may have to be made."""
    if priority is None:
        return directory
    path = os.path.join(directory, _number(priority))
    try:
        os.mkdir(path, 0o750)
    except FileExistsError:
        return path
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_directory(fd)
    finally:
        os.close(fd)
    return path


def write(directory, priority, content, at, hostname, journals=None):
    """Writes a job to the disk; returns the path of its file, which a job in a journal may get later. Raises ValueError, and OSError
    when the disk does not take it."""
    if at is not None:
        at = max(at, 0)
    below = "" if priority is None else _number(priority) + "/"
    name = _name(hostname)
    path = f"{directory}/{below}{name}"
    if journals and journals.add(below + name, content, at):
        return path
    where = os.open(folder(directory, priority), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            _write_unnamed(where, name, content, at)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            _write_renamed(where, name, content, at)  # a file system without unnamed files, or no /proc
    finally:
        os.close(where)
    return path


def _number(priority):
    if not re.fullmatch(rb"[0-9]{1,%d}" % LONGEST_PRIORITY, priority):
        raise ValueError("the priority of a job is a number")
    return priority.decode()


def _name(hostname):
    """One that no other job has, in uWSGI's form."""
    now = time.time_ns() // 1000
    number = int.from_bytes(os.urandom(4), "little") >> 1
    return f"{PREFIX}{hostname.replace('/', '_')}_{os.getpid()}_{next(_written)}_{number}_{now // 10**6}_{now % 10**6}"


def _write_unnamed(where, name, content, at):
    """What is not named before it is whole."""
    fd = os.open(".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=where)
    try:
        fill(fd, content, at)
        if len(content) > ONE_BLOCK:  # named before that, it might be there in part after a power failure
            os.fsync(fd)
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=where)
        try:
            os.fsync(fd)
            sync_directory(where)
        except BaseException:
            _remove(where, name)
            raise
    finally:
        os.close(fd)


def _write_renamed(where, name, content, at):
    """A name that no consumer looks at, until everything is written."""
    fd = os.open("." + name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=where)
    try:
        fill(fd, content, at)
        os.fsync(fd)
        os.rename("." + name, name, src_dir_fd=where, dst_dir_fd=where)
        sync_directory(where)
    except BaseException:
        _remove(where, "." + name)
        _remove(where, name)
        raise
    finally:
        os.close(fd)


def _remove(where, name):
    try:
        os.unlink(name, dir_fd=where)
    except OSError:
        pass


def fill(fd, content, at):
    left = memoryview(content)
    while left:
        left = left[os.write(fd, left):]
    if at is not None:
        try:
            os.utime(fd, (at, at))
        except OverflowError:
            raise ValueError(f"there is no time {at}") from None


def sync_directory(directory):
    """Has the names in a directory written to the disk."""
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot, and need not
            raise


class Taken:
    """A job's file that this process has locked. Others, uWSGI's spoolers too, pass it over until it is let go of.

    The lock belongs to the open file, not to the process: the application may open and close the same file without losing it.
    """

    def __init__(self, fd, path, found):
        self.fd, self.path, self.found, self.removed = fd, path, found, False

    def read(self):
        """(pairs, body); raises Broken."""
        data = os.read(self.fd, self.found.st_size)
        while len(data) < self.found.st_size:
            piece = os.read(self.fd, self.found.st_size - len(data))
            if not piece:
                break
            data += piece
        return parse(data)

    def remove(self):
        os.unlink(self.path)
        self.removed = True

    def abandon(self):
        """In a child, which would keep the lock otherwise should this process be killed."""
        os.close(self.fd)

    def release(self):
        if not self.removed:  # closing alone would leave it locked while a child has a copy
            locks.unlock(self.fd)
        os.close(self.fd)


def take(path):
    """Locks the file of a job; None: another process has it, or it has gone."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    found = None
    try:
        if locks.lock(fd):
            state = os.fstat(fd)
            if state.st_nlink and stat.S_ISREG(state.st_mode):  # else it was done, and removed, between open and lock
                found = Taken(fd, path, state)
    finally:
        if found is None:
            os.close(fd)
    return found


def read(path):
    """(pairs, body) of the job in a file, whoever works on it; raises OSError and Broken."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise Broken("it is no file")
        return Taken(fd, path, found).read()
    finally:
        os.close(fd)


def task(name, pairs, body):
    """A job as the application gets it; its name and body are under str keys."""
    job = {"spooler_task_name": name, **pairs}
    if body:
        job["body"] = body
    return job
