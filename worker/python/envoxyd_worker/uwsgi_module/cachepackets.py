"""Caches over the uwsgi protocol: packets of modifier1 111, and what a server answers to them."""
from . import wire
from .shared import extension

MODIFIER1 = 111
GET, SET, DELETE, COMMAND = 0, 1, 2, 17  # modifier2


def encode(pairs):
    """A packet of variables."""
    return wire.packet(MODIFIER1, COMMAND, wire.strings(*(part for pair in pairs for part in pair)))


def decode(block):
    """The variables of a packet. One that is cut short is a ValueError."""
    parts = wire.parse_strings(block)
    if len(parts) % 2:
        raise ValueError("a name without a value")
    return dict(zip(parts[::2], parts[1::2]))


def answer_cache(modifier2, block, body):
    """The answer to a packet; b"": nothing was found, or nothing done, and the connection is closed without a word."""
    shared = extension()
    try:
        if modifier2 == COMMAND:
            return answer_command(shared, decode(block), body)
        if modifier2 == GET:
            return shared.cache_get(bytes(block)) or b""
        if modifier2 == SET:
            (key, value), = decode(block).items()
            shared.cache_set(key, value)
        elif modifier2 == DELETE:
            shared.cache_del(bytes(block))
    except (ValueError, TypeError, OverflowError):  # nonsense
        pass
    return b""


def answer_command(shared, asked, body):
    name = asked.get(b"cache", b"").decode()
    if "@" in name:  # or two instances could ask each other for ever
        return b""
    command, key = asked.get(b"cmd", b"").decode(), asked.get(b"key", b"")
    expires = int(asked.get(b"expires", b"0"))
    ok = (b"status", b"ok")
    if command == "get":
        value = shared.cache_get(key, name)
        return encode([ok, (b"size", b"%d" % len(value))]) + value if value is not None else b""
    if command in ("set", "update"):
        done = getattr(shared, "cache_" + command)(key, bytes(body), expires, name)
    elif command in ("inc", "dec", "mul", "div"):  # uWSGI has no such commands: it sends the operand as an update
        done = getattr(shared, "cache_" + command)(key, int(asked.get(b"by", b"")), expires, name)
    elif command in ("del", "exists"):
        done = getattr(shared, "cache_" + command)(key, name)
    else:
        done = command == "clear" and shared.cache_clear(name)
    return encode([ok]) if done else b""
