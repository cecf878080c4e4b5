"""Messages to mules and farms."""
import os
import time

from ..failures import report
from ..log import line
from .state import named


class Hooks:
    """What a mule without a program of its own does with messages: uwsgi.mule_msg_hook and those that were installed."""

    def __init__(self):
        self.installed = []

    def call(self, uwsgi, number, message):
        first = uwsgi.__dict__.get("mule_msg_hook")
        every = ([first] if first else []) + self.installed
        for hook in every:
            try:
                hook(message)
            except Exception as error:
                report(error)
        if not every:
            line(f"*** mule {number} received a {len(message)} bytes message ***")


def send(pipe, message, function):
    """Puts a message into a queue; False: there is no room, or never will be for one as long as that."""
    try:
        os.write(pipe["in"], message)
    except BlockingIOError:
        return False
    except OSError as error:
        line(f"{function}: a message of {len(message)} bytes: {error.strerror}")
        return False
    return True


def queues(mine, farms=True):
    """Where this mule's messages come out."""
    mules = mine.spec["mules"]
    yield mules["list"][mine.mule - 1]["queue"]["out"]
    yield mules["shared"]["out"]
    if farms:
        yield from farm_queues(mine)


def farm_queues(mine):
    return [farm["queue"]["out"] for farm in mine.spec["mules"]["farms"] if mine.mule in farm["mules"]]


def wait(mine, fds, with_signals, timeout, size, signals_end_it=False):
    """The next message of the queues; b"" after timeout seconds (None: never). uwsgi signals are handled meanwhile, and end the
    wait with None if asked to: programs that call mule_get_msg() in a loop expect bytes.

    What the last message has led to is over with that. A mule that is to leave does so here.
    """
    process = mine.process
    process.end()
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        ready = process.wait(fds, None if end is None else end - time.monotonic(), with_signals)
        if process.leaving:
            process.leave()
        if process.signalled and signals_end_it:
            process.let_go()
            return None
        for fd in ready:
            process.begin(mine.spec["mules"]["harakiri"])
            try:
                message = os.read(fd, size)
            except BlockingIOError:  # another one was quicker
                message = b""
            if message:
                return message
            process.end(done=False)
        if end is not None and not ready and time.monotonic() >= end:
            process.let_go()
            return b""


def functions(mine):
    spec = mine.spec["mules"]
    hooks = mine.mule_hooks = Hooks()

    def as_bytes(message, function):
        if isinstance(message, str):
            return message.encode()
        try:
            return bytes(memoryview(message))
        except TypeError:
            raise TypeError(f"{function}() takes a str or bytes, not {type(message).__name__}") from None

    def mule_msg(message, to=0):
        data = as_bytes(message, "mule_msg")
        if not spec["list"]:
            raise ValueError("mule_msg(): no mule is configured (--mule)")
        if isinstance(to, bytes):
            for farm in spec["farms"]:
                if os.fsencode(farm["name"]) == to:
                    return send(farm["queue"], data, "mule_msg()")
            raise ValueError(f"mule_msg(): there is no farm {to!r}")
        if not isinstance(to, int) or not 0 <= to <= len(spec["list"]):
            raise ValueError(f"mule_msg(): invalid mule {to!r}")
        return send(spec["list"][to - 1]["queue"] if to else spec["shared"], data, "mule_msg()")

    def mule_get_msg(signals=True, farms=True, buffer_size=65536, timeout=-1):
        if not mine.mule:
            raise ValueError("mule_get_msg(): messages come to mules only")
        return wait(mine, list(queues(mine, farms)), signals, None if timeout is None or timeout < 0 else timeout, buffer_size)

    def farm_msg(name, message):
        if not isinstance(name, str):
            raise TypeError("farm_msg() takes a str and a message")
        data = as_bytes(message, "farm_msg")
        for farm in spec["farms"]:
            if farm["name"] == name:
                send(farm["queue"], data, "farm_msg()")

    def farm_get_msg():
        if not mine.mule:
            raise ValueError("farm_get_msg(): messages come to mules only")
        return wait(mine, farm_queues(mine), True, None, spec["receive_size"], signals_end_it=True)

    def in_farm(name=None):
        if not mine.mule:
            return None
        return True if any(mine.mule in farm["mules"] and name in (None, farm["name"]) for farm in spec["farms"]) else None

    def mule_file(number=0):
        number = number or mine.mule
        if not 1 <= number <= len(spec["list"]):
            raise ValueError(f"mule_file(): invalid mule {number}")
        return os.fsencode(spec["list"][number - 1]["runs"]) or None

    def mule_msg_recv_size():
        return spec["receive_size"]

    def install_mule_msg_hook(function):
        if not callable(function):
            raise TypeError("install_mule_msg_hook() takes a callable")
        hooks.installed.append(function)

    def mule_id():
        return mine.mule

    return named(mule_msg, mule_get_msg, farm_msg, farm_get_msg, in_farm, mule_file, mule_msg_recv_size, install_mule_msg_hook, mule_id)
