"""Answering the client by hand: files, and start_response for whoever has not kept it."""
import os

from .state import named

PIECE = 256 << 10


def functions(mine):
    def start_response(status, headers, exc_info=None):
        start = mine.request("start_response")
        return start(status, headers, exc_info) if exc_info else start(status, headers)

    def sendfile(what, chunk=0, pos=0, size=0):
        """Sends a file, named or open, as a part of the response's body; chunk is ignored. The file is closed."""
        file = opened(what)
        if file is None:
            return None
        try:
            write = mine.request("write")
            for piece in pieces(file.fileno(), pos, size):
                write(piece)
        finally:
            file.close()
        return True

    def advanced_sendfile(what, chunk=0, pos=0, size=0):
        return sendfile(what, chunk, pos, size)

    def offload(*args):
        """Threads for sending are the server's own affair here: there is nothing to hand over."""
        return b""

    return named(start_response, sendfile, advanced_sendfile, offload)


def opened(what):
    """The file to send, which is the caller's to close; None: it cannot be opened."""
    if isinstance(what, (str, bytes)):
        try:
            return open(what, "rb", buffering=0)
        except OSError:
            return None
    if isinstance(what, int):
        return open(what, "rb", buffering=0)
    if not hasattr(what, "fileno"):
        raise TypeError("sendfile() takes a path or a file")
    return what


def pieces(fd, pos, size):
    """The part of a file from pos on: size bytes, or all for 0."""
    left = size if size > 0 else None
    while left is None or left > 0:
        wanted = PIECE if left is None else min(PIECE, left)
        try:
            piece = os.pread(fd, wanted, pos)
        except OSError:  # a pipe
            piece = os.read(fd, wanted)
        if not piece:
            return
        pos += len(piece)
        if left is not None:
            left -= len(piece)
        yield piece
