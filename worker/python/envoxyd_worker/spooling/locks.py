"""Locks of files that belong to an open file, not to the process: the application may open and close the same file without losing them.

A process of uWSGI's, which locks for itself, is kept out as well. Who is killed lets go of them.
"""
import errno
import fcntl
import os
import struct

OFD_SETLK = 37  # F_OFD_SETLK, which Python before 3.9 has no name for
FLOCK = struct.Struct("hhqqi4x")


def lock(fd, start=0, size=0):
    """Locks bytes of an open file, by default all of them. False: another one has some of them."""
    try:
        fcntl.fcntl(fd, OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, size, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def unlock(fd, start=0, size=0):
    fcntl.fcntl(fd, OFD_SETLK, FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, start, size, 0))
