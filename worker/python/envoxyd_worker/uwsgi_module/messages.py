"""Packets to other servers that speak uwsgi."""
import struct
from os import read
from socket import dup, socket

from .connections import dial
from .state import named

MOST = 65535  # bytes of a packet's block
PIECE = 64 << 10


def functions(mine):
    patience = mine.spec["limits"].get("socket_timeout_ms", 4000)

    def send_message(address, modifier1, modifier2, message, timeout=0, fd=-1, cl=0):
        """Sends a dict of variables, or a block of bytes, and cl bytes from fd; the pieces of the answer come as an iterator."""
        block = pairs(message) if isinstance(message, dict) else encoded(message)
        if len(block) > MOST:
            raise ValueError(f"send_message(): {len(block)} bytes are too long for a packet")
        milliseconds = timeout * 1000 or patience
        number = dup(address) if isinstance(address, int) else dial(address, milliseconds)
        if number < 0:
            raise OSError(f"send_message(): unable to connect to {address}")
        peer = socket(fileno=number)
        peer.settimeout(milliseconds / 1000)
        peer.sendall(struct.pack("<BHB", modifier1, len(block), modifier2) + block)
        while cl > 0:
            piece = read(fd, min(cl, PIECE))
            if not piece:
                raise OSError("send_message(): the body is shorter than it was said to be")
            peer.sendall(piece)
            cl -= len(piece)
        return answer(peer)

    return named(send_message)


def encoded(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def pairs(variables):
    texts = [encoded(text) for pair in variables.items() for text in pair]
    return b"".join(struct.pack("<H", len(text)) + text for text in texts) if max(map(len, texts), default=0) <= MOST else bytes(MOST + 1)


def answer(peer):
    with peer:
        while True:
            piece = peer.recv(PIECE)
            if not piece:
                return
            yield piece
