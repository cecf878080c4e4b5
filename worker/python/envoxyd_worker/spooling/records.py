"""The form of a journal: records one after another, each of them a job that is waiting, has become a file, or is done."""
import os
import re
import struct
import zlib

from . import files

# Magic number; state; checksum of all that follows; bytes of path and content; generation and number of the record; when it was
# written, in nanoseconds; when the job is due, in seconds (-1: at once).
HEADER = struct.Struct("<3scIHHQQqq")
CHECKSUM, REST = struct.Struct("<I"), struct.Struct("<HHQQqq")
CHECKED = HEADER.size - REST.size  # where the part with a checksum begins
STATE = 3  # where the state is; it changes later and is not part of the checksum
MAGIC, WAITING, MOVED, DONE = b"job", b"s", b"f", b"-"
PATH = re.compile(r"(?:[0-9]{1,%d}/)?%s[^/]+" % (files.LONGEST_PRIORITY, files.PREFIX))


class Record:
    """A job in a journal. The path is relative to the directory of jobs."""

    __slots__ = ("path", "content", "at", "generation", "number", "written", "offset", "size", "waiting", "moved")


def pack(path, content, at, generation, number, written):
    """A record as it is in the journal; the path is bytes."""
    rest = REST.pack(len(path), len(content), generation, number, written, -1 if at is None else at) + path + content
    return MAGIC + WAITING + CHECKSUM.pack(zlib.crc32(rest)) + rest


def place(header):
    """(generation, number) of the record that begins with this header; None: none does."""
    if len(header) < HEADER.size:
        return None
    magic, _, _, _, _, generation, number, _, _ = HEADER.unpack_from(header)
    return (generation, number) if magic == MAGIC else None


def unpack(data, start):
    """The record that is at start; None: there is no whole one. Its offset is start."""
    if start + HEADER.size > len(data):
        return None
    magic, state, checksum, path, content, generation, number, written, at = HEADER.unpack_from(data, start)
    body = start + HEADER.size
    end = body + path + content
    if magic != MAGIC or end > len(data) or zlib.crc32(memoryview(data)[start + CHECKED:end]) != checksum:
        return None
    found = Record()
    found.path, found.content = os.fsdecode(data[body:body + path]), bytes(data[body + path:end])
    found.at, found.generation, found.number, found.written = None if at < 0 else at, generation, number, written
    found.offset, found.size, found.waiting, found.moved = start, end - start, state == WAITING, state == MOVED
    return found


def unpack_all(data, generation=None, number=0, base=0):
    """The records that follow the one of that generation and number; without a generation, of the one that the data begins with.
    Offsets begin at base."""
    found, start = [], 0
    while True:
        record = unpack(data, start)
        if record is None or record.number != number + 1 or generation not in (None, record.generation):
            return found
        generation, number = record.generation, record.number
        start += record.size
        record.offset += base
        found.append(record)


def state(header):
    """Of the record with this header."""
    return header[STATE:STATE + 1]


def first_undone(data):
    """Where in whole records the first job that is not done begins; None: all are done."""
    start = 0
    while start < len(data):
        if data[start + STATE:start + STATE + 1] != DONE:
            return start
        _, _, _, path, content, _, _, _, _ = HEADER.unpack_from(data, start)
        start += HEADER.size + path + content
    return None


def valid(path):
    """Whether a path is one that a job may have, so that nothing is written elsewhere."""
    return PATH.fullmatch(path) is not None


def priority(path):
    """The directory of a valid path, "" for none."""
    return path.rpartition("/")[0]
