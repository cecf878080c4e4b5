"""Requests to other servers by the uwsgi protocol: one packet there, one answer back."""
import socket
import struct

HEADER = struct.Struct("<BHB")  # modifier1, size, modifier2
LONGEST = 65535


def connect(address, timeout):
    """A connection to HOST:PORT, or to a unix socket's path (@NAME: an abstract one)."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in port and not address.startswith(("/", "@")):
        return socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), timeout)
    client = socket.socket(socket.AF_UNIX)
    try:
        client.settimeout(timeout)
        client.connect("\0" + address[1:] if address.startswith("@") else address)
    except BaseException:
        client.close()
        raise
    return client


def packet(modifier1, modifier2, block):
    if len(block) > LONGEST:
        raise ValueError(f"{len(block)} bytes are too many for one uwsgi packet ({LONGEST})")
    return HEADER.pack(modifier1, len(block), modifier2) + block


def strings(*texts):
    """Byte strings as an array of the uwsgi protocol: each with its size before it."""
    for text in texts:
        if len(text) > LONGEST:
            raise ValueError(f"{len(text)} bytes are too many for one string of a uwsgi packet ({LONGEST})")
    return b"".join(struct.pack("<H", len(text)) + text for text in texts)


def parse_strings(block):
    """The strings of an array; ValueError: it is cut off."""
    texts, at = [], 0
    while at < len(block):
        if at + 2 > len(block):
            raise ValueError("a size is cut off")
        size = block[at] | block[at + 1] << 8
        at += 2 + size
        if at > len(block):
            raise ValueError("a string is cut off")
        texts.append(block[at - size : at])
    return texts


def receive(client, size):
    """Exactly so many bytes; ConnectionError: the other side has sent fewer."""
    data = bytearray()
    while len(data) < size:
        piece = client.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise ConnectionError(f"the server has sent {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def ask(address, modifier1, modifier2, block, body=b"", answer=0, timeout=4.0):
    """Sends one packet and a body; returns so many bytes of the answer, or all that come for answer=0. OSError: it has failed."""
    with connect(address, timeout) as client:
        client.sendall(packet(modifier1, modifier2, block) + body)
        if answer:
            return receive(client, answer)
        pieces = []
        while True:
            piece = client.recv(1 << 16)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
