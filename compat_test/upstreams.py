"""Servers that routes lead to: each answers its connections by a function of the test's, on threads."""
import socket
import threading


class Upstream:
    """Listens on 127.0.0.1, or at the path of a unix socket; serve(client, request) has each connection, with what was sent on it
    up to the end of the request. `requests` are those, as bytes."""

    def __init__(self, serve, path=None):
        self.serve, self.requests, self.broken = serve, [], []
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(str(path) if path else ("127.0.0.1", 0))
        self.listener.listen(64)
        self.address = str(path) if path else "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.threads = []
        self.accepting = threading.Thread(target=self._accept)
        self.accepting.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join(20)
        self.listener.close()
        for thread in self.threads:
            thread.join(20)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self._one, args=(client,)))
            self.threads[-1].start()

    def _one(self, client):
        with client:
            client.settimeout(20)
            try:
                request = read_request(client)
                self.requests.append(request)
                self.serve(client, request)
            except OSError as error:
                self.broken.append(error)


def read_request(client):
    """A whole request: HTTP with Content-Length, or a packet of the uwsgi protocol with CONTENT_LENGTH."""
    data = b""

    def until(size):
        nonlocal data
        while len(data) < size:
            piece = client.recv(65536)
            if not piece:
                raise OSError("the request is not whole")
            data += piece
    until(4)
    if data[:4].isalpha() or data[:4].strip().isalpha():
        while b"\r\n\r\n" not in data:
            until(len(data) + 1)
        head, _, _ = data.partition(b"\r\n\r\n")
        until(len(head) + 4 + int(field(head, b"content-length") or 0))
    else:
        size = 4 + int.from_bytes(data[1:3], "little")
        until(size)
        until(size + int(variables(data).get("CONTENT_LENGTH") or 0))
    return data


def field(head, name):
    """The value of a header field (lower case); None: there is none."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return None


def variables(packet):
    """Those of a uwsgi packet."""
    block, found = packet[4:4 + int.from_bytes(packet[1:3], "little")], []
    while block:
        size = int.from_bytes(block[:2], "little")
        found.append(block[2:2 + size].decode("latin-1"))
        block = block[2 + size:]
    return dict(zip(found[::2], found[1::2]))


def answer(text):
    """A serve function that always says the same."""
    return lambda client, request: client.sendall(text)
