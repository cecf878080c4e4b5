"""Functions that processes offer each other, and other servers, over the uwsgi protocol."""
import struct

from ..failures import report
from ..log import line
from . import wire
from .state import named

MODIFIER = 173
LARGE = 5  # modifier2 of an answer that does not fit into a packet: its size is one variable, and it follows
LONGEST_NAME = 254
MOST = 64


def run(mine, name, args):
    """The result of the function as bytes; None: it is not there, has raised, or has returned something else."""
    function = mine.rpc.get(name)
    if function is None:
        return None
    try:
        result = function(*args)
    except Exception as error:
        report(error)
        return None
    return result if isinstance(result, bytes) and result else None


def answer(mine, block):
    """The answer to a packet with a function and its arguments."""
    try:
        name, *args = wire.parse_strings(block)
    except ValueError as error:
        line(f"invalid RPC request: {error}")
        return b""
    result = run(mine, name, args) or b""
    if len(result) <= wire.LONGEST:
        return wire.packet(MODIFIER, 0, result)
    return wire.packet(MODIFIER, LARGE, wire.strings(b"CONTENT_LENGTH", b"%d" % len(result))) + result


def ask(node, name, args, timeout):
    """The result of a function of another server; OSError: it cannot be reached, or does not answer as it should."""
    with wire.connect(node, timeout) as client:
        client.sendall(wire.packet(MODIFIER, 0, wire.strings(name, *args)))
        modifier1, size, modifier2 = wire.HEADER.unpack(wire.receive(client, wire.HEADER.size))
        if modifier1 != MODIFIER:
            raise ConnectionError(f"{node} has answered a call with modifier {modifier1}")
        data = wire.receive(client, size)
        if modifier2 == LARGE:
            try:
                pairs = wire.parse_strings(data)
                data = wire.receive(client, int(dict(zip(pairs[::2], pairs[1::2]))[b"CONTENT_LENGTH"]))
            except (KeyError, ValueError, struct.error) as error:
                raise ConnectionError(f"{node} has answered a call with nonsense: {error}") from error
        return data


def functions(mine):
    most = mine.spec["python"].get("rpc_max", MOST)
    timeout = mine.spec["limits"].get("socket_timeout_ms", 4000) / 1000

    def register_rpc(name, function, argc=0):
        if not isinstance(name, str) or not callable(function):
            raise TypeError("register_rpc() takes a str and a callable")
        if len(name.encode()) > LONGEST_NAME or len(mine.rpc) >= most and name.encode() not in mine.rpc:
            raise ValueError("register_rpc(): the name is too long, or the table is full (--rpc-max)")
        if mine.mule or mine.spooler:
            raise ValueError("register_rpc(): mules and spoolers cannot offer functions")
        mine.rpc[name.encode()] = function
        return True

    def check(name, args, caller):
        if not isinstance(name, bytes) or not all(isinstance(arg, bytes) for arg in args):
            raise ValueError(f"{caller}() takes bytes")

    def call(name, *args):
        check(name, args, "call")
        return run(mine, name, args)

    def rpc(node, name, *args):
        check(name, args, "rpc")
        if isinstance(node, bytes):
            node = node.decode()
        if node is not None and not isinstance(node, str):
            raise ValueError("rpc() takes a str or None first")
        if not node:
            return run(mine, name, args)
        try:
            return ask(node, name, args, timeout) or None
        except OSError:
            return None

    def rpc_list():
        return tuple(mine.rpc)

    return named(register_rpc, call, rpc, rpc_list)
