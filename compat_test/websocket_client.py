"""A websocket client that sends what it is told to, right or wrong."""
import socket
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
HEAD = (
    "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
)


class Websocket:
    """A connection after its handshake, whose head is `head`; over TLS with a context."""

    def __init__(self, port, path="/", more="", timeout=10.0, receive_buffer=None, early=b"", context=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        if context:
            self.socket = context.wrap_socket(self.socket)
        self.socket.sendall(HEAD.format(path=path, more=more).encode() + early)
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        self.head = head.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, opcode, data=b"", fin=True, rsv=0):
        self.socket.sendall(frame(opcode, data, fin, rsv))

    def receive(self):
        """(opcode, data) of the next frame; EOFError at the end."""
        first, second = self._exactly(2)
        size = second & 127
        if size == 126:
            size = struct.unpack(">H", self._exactly(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._exactly(8))[0]
        assert not second & 128, "servers do not mask"
        assert first & 128, "it sends no fragments"
        return first & 15, self._exactly(size)

    def closed(self):
        """The code that the server closes with, after which the connection ends."""
        opcode, data = self.receive()
        assert opcode == CLOSE, (opcode, data)
        try:
            assert self.socket.recv(1) == b""
        except ConnectionResetError:
            pass
        return struct.unpack(">H", data[:2])[0] if data else None

    def _exactly(self, size):
        while len(self.rest) < size:
            self._more()
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def _more(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError("the server has closed")
        self.rest += data


def frame(opcode, data=b"", fin=True, rsv=0):
    """A client's frame, masked."""
    mask = b"\x12\x34\x56\x78"
    size = len(data)
    length = bytes([size | 128]) if size < 126 else struct.pack(">BH", 254, size) if size < 65536 else struct.pack(">BQ", 255, size)
    key = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    return bytes([fin << 7 | rsv << 4 | opcode]) + length + mask + masked
