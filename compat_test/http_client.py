"""A small HTTP/1.1 client: one connection, kept or not, that says exactly what went wrong."""
import socket
import ssl
import time


class Broken(Exception):
    """The peer did not answer with a whole HTTP response."""


class Reply:
    """One response: status (int), headers (lower-case names to values), body (bytes)."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


class Connection:
    """One client connection to 127.0.0.1:port, or to the unix socket at that path; `keep` asks for keep-alive and opens anew
    when the peer has closed. With a context it speaks TLS."""

    def __init__(self, port, keep=False, timeout=10.0, receive_buffer=None, context=None):
        self.port, self.keep, self.timeout, self.receive_buffer, self.context = port, keep, timeout, receive_buffer, context
        self.socket, self.unread, self.opened = None, b"", 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open(self):
        tcp = isinstance(self.port, int)
        self.socket = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        self.socket.settimeout(self.timeout)
        if self.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.socket.connect(("127.0.0.1", self.port) if tcp else str(self.port))
        if tcp:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context:
            self.socket = self.context.wrap_socket(self.socket)
        self.unread = b""
        self.opened += 1

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def get(self, path="/"):
        """One GET request and its whole response."""
        self.send(path)
        return self.receive()

    def send(self, path="/"):
        if self.socket and self._closed_by_peer():
            self.close()
        if not self.socket:
            self.open()
        connection = "" if self.keep else "Connection: close\r\n"
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{connection}\r\n".encode())

    def receive(self):
        try:
            reply = self._receive()
        except BaseException:
            self.close()
            raise
        if not self.keep or reply.headers.get("connection", "").lower() == "close":
            self.close()
        return reply

    def _receive(self):
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        if not head[0].startswith("HTTP/1."):
            raise Broken(f"not a status line: {head[0]!r}")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if head[0].split(" ")[1] == "304":
            body = b""
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body = b"".join(iter(self._chunk, b""))
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        elif head[0].split(" ")[1] == "204":
            body = b""
        else:
            body = self._rest()
            headers["connection"] = "close"
        return Reply(int(head[0].split(" ")[1]), headers, body)

    def _chunk(self):
        size = int(self._until(b"\r\n").split(b";")[0], 16)
        data = self._exactly(size)
        self._until(b"\r\n")
        return data

    def _until(self, mark):
        while mark not in self.unread:
            self._more()
        part, _, self.unread = self.unread.partition(mark)
        return part

    def _exactly(self, size):
        while len(self.unread) < size:
            self._more()
        part, self.unread = self.unread[:size], self.unread[size:]
        return part

    def _rest(self):
        while True:
            data = self.socket.recv(65536)
            if not data:
                part, self.unread = self.unread, b""
                return part
            self.unread += data

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Broken("closed before any answer" if not self.unread else f"closed in mid-answer after {self.unread[:80]!r}")
        self.unread += data

    def _closed_by_peer(self):
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1, 0 if self.context else socket.MSG_PEEK) == b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            self.socket.settimeout(self.timeout)


def get(port, path="/", timeout=10.0):
    """One GET on a connection of its own."""
    return Connection(port, timeout=timeout).get(path)


def eventually(check, timeout=10.0, every=0.02):
    """Call check() until it returns something true; return that, or fail after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"did not happen within {timeout} s"
        time.sleep(every)
