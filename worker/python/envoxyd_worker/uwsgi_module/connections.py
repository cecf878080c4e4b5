"""Sockets as plain descriptors: connect, recv, send, close. What they need is bound before an application can replace it."""
from os import close as close_fd
from os import read
from os import write as write_fd
from select import POLLIN, POLLOUT, poll
from socket import AF_UNIX, SO_ERROR, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, getaddrinfo, socket

from .state import named

MOST = 4096  # bytes that one recv() takes


def functions(mine):
    patience = mine.spec["limits"].get("socket_timeout_ms", 4000)

    def client():
        """The descriptor of the client whose request is in hand; None: there is none."""
        try:
            return mine.request("connection_fd")
        except RuntimeError:
            return None

    def connect(address, timeout=0):
        """A descriptor that is connected to HOST:PORT, a path, or @NAME; -1 if that fails."""
        return dial(address, timeout * 1000 or patience)

    def async_connect(address):
        """As connect(), but the connection may not be there yet: wait_fd_write() tells."""
        return dial(address, None)

    def is_connected(fd):
        kept = None
        try:
            kept = socket(fileno=fd)
            return kept.getsockopt(SOL_SOCKET, SO_ERROR) == 0
        except (OSError, ValueError):
            return False
        finally:
            if kept is not None:
                kept.detach()

    def recv(fd, most=MOST):
        """What has come, at most 4096 bytes; None at the end, after an error, or when nothing comes in time."""
        try:
            while True:
                try:
                    return read(fd, min(most, MOST) if most > 0 else MOST) or None
                except BlockingIOError:
                    if not wait(fd, POLLIN, patience):
                        return None
        except OSError:
            return None

    def send(*args):
        """send([fd, ]data): to the client, or to a descriptor, as it is. None if it does not take all."""
        if len(args) not in (1, 2):
            raise TypeError("send() takes [fd, ]bytes")
        data = memoryview(args[-1])
        if len(args) == 1 or args[0] == client():
            return True if mine.request("send", bytes(data)) else None
        try:
            while data:
                try:
                    data = data[write_fd(args[0], data):]
                except BlockingIOError:
                    if not wait(args[0], POLLOUT, patience):
                        return None
        except OSError:
            return None
        return True

    def close(fd):
        """Closes a descriptor. The client's own is the server's to close: the client sees the end."""
        if fd == client():
            mine.request("disconnect")
            return
        try:
            close_fd(fd)
        except OSError:
            pass

    return named(connect, async_connect, is_connected, recv, send, close)


def wait(fd, what, milliseconds):
    """Whether the descriptor becomes ready in time."""
    waiting = poll()
    waiting.register(fd, what)
    return bool(waiting.poll(milliseconds))


def dial(address, milliseconds):
    """A connected descriptor, one that is being connected if there is no time to wait for it, or -1."""
    if not isinstance(address, str):
        raise TypeError("the address must be a str")
    try:
        family, where = resolved(address)
        new = socket(family, SOCK_STREAM | SOCK_CLOEXEC | (SOCK_NONBLOCK if milliseconds is None else 0))
    except OSError:
        return -1
    try:
        if milliseconds is None:
            try:
                new.connect(where)
            except BlockingIOError:
                pass
        else:
            new.settimeout(milliseconds / 1000)
            new.connect(where)
            new.settimeout(None)
        return new.detach()
    except OSError:
        new.close()
        return -1


def resolved(address):
    host, colon, port = address.rpartition(":")
    if not colon or address.startswith(("/", "@")):
        return AF_UNIX, "\0" + address[1:] if address.startswith("@") else address
    found = getaddrinfo(host.strip("[]") or "127.0.0.1", port, type=SOCK_STREAM)[0]
    return found[0], found[4]
