"""What zygote and workers tell the master, and the statuses that they leave with."""
from json import dumps
from os import fstat
from socket import socket

from . import log

LOAD_FAILED = 22


class Reports:
    """Tells the master, in datagrams of JSON, how far we are."""

    def __init__(self, fd):
        self.socket = socket(fileno=fd)
        found = fstat(fd)
        self.identity = (found.st_dev, found.st_ino)

    def open(self):
        """Whether the descriptor still is the socket that it was."""
        try:
            found = fstat(self.socket.fileno())
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.identity

    def send(self, kind, **more):
        try:
            self.socket.send(dumps({"kind": kind, **more}).encode()[:60000])
        except OSError:  # the master is gone: so are we, as soon as we listen to it
            pass


def exit_status(wish):
    """The status that sys.exit(code) asks for."""
    if wish.code is None:
        return 0
    if isinstance(wish.code, int):
        return wish.code & 0xFF
    log.line(wish.code)
    return 1
