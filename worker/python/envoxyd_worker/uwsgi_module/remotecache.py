"""Caches of other instances, NAME@HOST:PORT: the client's side of the uwsgi protocol's modifier 111."""
from . import cachepackets, wire

TIMEOUT = 4  # seconds, as uWSGI's socket-timeout


def call(function, args):
    """Carries out a function of the uwsgi module; whatever fails is None, as with a cache that is not there."""
    command = function[len("cache_"):]
    if command == "keys":
        raise ValueError("the keys of a cache of another instance are not to be had")
    name, _, node = args[-1].partition("@")
    key = as_bytes(args[0]) if len(args) > 1 else b""
    if command in ("set", "update"):
        return ask(node, command, name, key, value=as_bytes(args[1]), expires=args[2])
    if command in ("inc", "dec", "mul", "div"):
        return ask(node, command, name, key, by=args[1], expires=args[2])
    return ask(node, command, name, key)


def as_bytes(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def ask(node, command, name, key, value=None, by=None, expires=0):
    pairs = [(b"cmd", command.encode())]
    if command != "clear":
        pairs.append((b"key", key))
    if value is not None:
        pairs.append((b"size", b"%d" % len(value)))
    if by is not None:
        pairs.append((b"by", b"%d" % by))
    if expires:
        pairs.append((b"expires", b"%d" % expires))
    pairs.append((b"cache", name.encode()))
    try:
        with wire.connect(node, TIMEOUT) as stream:
            stream.sendall(cachepackets.encode(pairs) + (value or b""))
            modifier1, size, _ = wire.HEADER.unpack(wire.receive(stream, wire.HEADER.size))
            said = cachepackets.decode(wire.receive(stream, size))
            if modifier1 != cachepackets.MODIFIER1 or said.get(b"status") != b"ok":
                return None
            return wire.receive(stream, int(said.get(b"size", b"0"))) if command == "get" else True
    except (OSError, ValueError):
        return None
