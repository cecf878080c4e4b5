"""A client for each protocol of the server's sockets, without a proxy in between."""
import re
import socket
import struct

from server import free_port

# "chunked" is HTTP with a body of unknown length.
PROTOCOLS = ["http", "chunked", "uwsgi", "fastcgi", "scgi"]


class Sockets:
    """One server with a socket for each protocol; post() sends a whole request and returns the raw answer."""

    def __init__(self, server, app, args=(), **more):
        self.ports = {name: free_port() for name in ("http-socket", "socket", "fastcgi-socket", "scgi-socket")}
        listeners = [part for name, port in self.ports.items() for part in (f"--{name}", f"127.0.0.1:{port}")]
        self.running = server(None, [*listeners, "--master", "--processes", "1", *args], app=app, **more)
        self.running.wait_port(self.ports["http-socket"])
        self.path = "/"

    def variables(self, size):
        return [("REQUEST_METHOD", "POST"), ("PATH_INFO", self.path), ("QUERY_STRING", ""), ("REQUEST_URI", self.path),
                ("SERVER_NAME", "h"), ("SERVER_PORT", "80"), ("SERVER_PROTOCOL", "HTTP/1.1"), ("CONTENT_LENGTH", str(size))]

    def send(self, protocol, body, receive_buffer=None):
        name, request = getattr(self, protocol)(body)
        client = socket.socket()
        client.settimeout(20)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(("127.0.0.1", self.ports[name]))
        client.sendall(request)
        return client

    def post(self, protocol, body):
        with self.send(protocol, body) as client:
            return rest_of(client)

    def http(self, body):
        head = f"POST {self.path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        return "http-socket", head.encode() + body

    def chunked(self, body):
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[i:i + 100_000] for i in range(0, len(body), 100_000)))
        head = b"POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" % self.path.encode()
        return "http-socket", head + chunks + b"0\r\n\r\n"

    def uwsgi(self, body):
        block = b"".join(struct.pack("<H", len(part)) + part.encode() for pair in self.variables(len(body)) for part in pair)
        return "socket", struct.pack("<BHB", 0, len(block), 0) + block + body

    def scgi(self, body):
        pairs = [("CONTENT_LENGTH", str(len(body))), ("SCGI", "1"), *self.variables(len(body))[:-1]]
        head = "".join(f"{name}\0{value}\0" for name, value in pairs).encode()
        return "scgi-socket", b"%d:%s," % (len(head), head) + body

    def fastcgi(self, body):
        params = b"".join(struct.pack("BB", len(name), len(value)) + (name + value).encode() for name, value in self.variables(len(body)))

        def record(kind, content):
            return struct.pack(">BBHHBB", 1, kind, 1, len(content), 0, 0) + content

        stdin = b"".join(record(5, body[i:i + 65_000]) for i in range(0, len(body), 65_000))
        return "fastcgi-socket", record(1, b"\0\1\0\0\0\0\0\0") + record(4, params) + record(4, b"") + stdin + record(5, b"")


def rest_of(client):
    answer = b""
    while part := client.recv(1 << 20):
        answer += part
    return answer


def stdout(answer):
    """What the records of a FastCGI answer carry, and whether the last of them says that it is complete."""
    data, kind = b"", 0
    while answer:
        _, kind, _, size, padding, _ = struct.unpack(">BBHHBB", answer[:8])
        data += answer[8:8 + size] if kind == 6 else b""
        answer = answer[8 + size + padding:]
    return data, kind == 3


def status(answer):
    return int(re.search(rb"(?:HTTP/1\.[01]|Status:) (\d{3})", answer).group(1))
