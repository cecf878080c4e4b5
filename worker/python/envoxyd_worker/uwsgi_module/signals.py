"""uWSGI's signals: numbers that any process raises, that the master routes, and that a process handles between two requests.

Registrations are kept here and inherited by what is forked; those of a worker end with it. The master knows the targets.
"""
import os
import select
import threading

from ..failures import report
from ..log import line
from .state import named
from .wire import ask, packet

MOST = 64  # timers, red-black timers, crons and file monitors, each
LONGEST_TARGET = 63
LONGEST_PATH = 254
MODIFIER = 110
ACCEPTED = packet(255, 1, b"")

received = threading.local()


class Signals:
    """What this process has registered."""

    def __init__(self):
        self.handlers = {}
        self.importing = set()  # numbers that were registered while the application was imported
        self.counts = {}

    def count(self, kind):
        """One more of a kind of which there may be so many."""
        if self.counts.get(kind, 0) >= MOST:
            raise ValueError(f"there are {MOST} of this kind already: no {kind} can be added")
        self.counts[kind] = self.counts.get(kind, 0) + 1


def handle(mine, number):
    """Runs what is registered under the number. No exception leaves it."""
    function = mine.signals.handlers.get(number)
    received.number = number
    try:
        if function is not None:
            function(number)
            return
    except Exception as error:
        report(error)
    line(f"error managing signal {number} on {who(mine)}")


def who(mine):
    if mine.mule:
        return f"mule {mine.mule}"
    if mine.spooler:
        return f"spooler {mine.spooler}"
    return f"worker {mine.worker}"


def descriptors(mine):
    """Where this process's signals come out: those for itself, and those for the first of its kind that has time."""
    queues = mine.spec["signals"]
    if mine.mule:
        farms = [fd for fd, farm in zip(queues["farms"] or (), mine.spec["mules"]["farms"]) if mine.mule in farm["mules"]]
        return [queues["mules"][mine.mule], queues["mules"][0], *farms]
    if mine.spooler:
        return [queues["spooler"]]
    if mine.worker:
        return [queues["workers"][mine.worker], queues["workers"][0]]
    return []


def take(fd):
    """The next signal of a queue; None: there is none now."""
    try:
        return os.read(fd, 1)[0]
    except (BlockingIOError, IndexError):
        return None


def run_pending(mine, fds):
    """Handles what is waiting in the queues."""
    for fd in fds:
        number = take(fd)
        while number is not None:
            handle(mine, number)
            number = take(fd)


def send(node, number):
    """Raises the signal in another instance, over the uwsgi protocol."""
    try:
        answer = ask(node, MODIFIER, number, b"", answer=4)
    except OSError as error:
        raise OSError(f"signal(): {node} cannot be reached: {error}") from error
    if answer != ACCEPTED:
        raise ValueError(f"signal(): {node} has rejected signal {number}")


def byte(number, function):
    """A signal's number, as uWSGI takes it: the lowest eight bits."""
    if not isinstance(number, int):
        raise TypeError(f"{function}() takes an int")
    return number & 0xFF


def c_int(value, function):
    """The value, which has to be one of C's int, as with uWSGI."""
    if not isinstance(value, int):
        raise TypeError(f"{function}() takes ints")
    if not -(1 << 31) <= value < 1 << 31:
        raise OverflowError(f"{function}(): {value} is too large")
    return value


def functions(mine):
    mine.signals = Signals()

    def order(kind, number, **more):
        mine.tell(kind, signal={"number": number, **more})

    def need_master(function):
        if not mine.spec["master_pid"]:
            raise ValueError(f"{function}() needs a master process (--master)")

    def register_signal(number, target, function):
        number = byte(number, "register_signal")
        if not isinstance(target, str) or not callable(function):
            raise TypeError("register_signal() takes an int, a str and a callable")
        need_master("register_signal")
        if "\0" in target or len(os.fsencode(target)) > LONGEST_TARGET:
            raise ValueError(f"register_signal(): the target has more than {LONGEST_TARGET} bytes, or a NUL")
        if mine.mule or mine.spooler:
            raise ValueError("register_signal(): mules and spoolers cannot register signals")
        if not mine.worker and number in mine.signals.handlers:
            raise ValueError(f"signal {number} is registered already")
        if not mine.worker:
            mine.signals.importing.add(number)
        elif number not in mine.signals.importing and target.startswith(("mule", "farm", "spooler")):
            target = ""  # only workers have the function (--lazy-apps): in uWSGI the first one that has time calls it, too
        order("register signal", number, target=target)
        mine.signals.handlers[number] = function

    def signal_registered(number):
        return True if byte(number, "signal_registered") in mine.signals.handlers else None

    def signal(number, node=None):
        number = byte(number, "signal")
        if node is None or node == "":
            order("raise", number)
        elif not isinstance(node, str):
            raise TypeError("signal() takes an int and a str")
        else:
            send(node, number)

    def signal_wait(number=None):
        wanted = None if number is None else byte(number, "signal_wait")
        fds = descriptors(mine)
        if not fds:
            raise SystemError("signal_wait(): no signals come here")
        poll = select.poll()
        for fd in fds:
            poll.register(fd, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                got = take(fd)
                if got is None:
                    continue
                handle(mine, got)
                if wanted is None or got == wanted:
                    return b""

    def signal_received():
        return getattr(received, "number", 0)

    def timer(kind, function, number, every, unit, iterations=0):
        number, millis = byte(number, function), c_int(every, function) * unit
        need_master(function)
        if millis < 0 or c_int(iterations, function) < 0:
            raise ValueError(f"{function}(): a time or count below 0")
        mine.signals.count(kind)
        order("timer", number, ms=millis, iterations=iterations)

    def add_timer(number, secs):
        timer("timer", "add_timer", number, secs, 1000)

    def add_ms_timer(number, msecs):
        timer("timer", "add_ms_timer", number, msecs, 1)

    def add_rb_timer(number, secs, iterations=0):
        timer("rb_timer", "add_rb_timer", number, secs, 1000, iterations)

    def add_cron(number, minute, hour, day, month, weekday):
        number = byte(number, "add_cron")
        when = [c_int(field, "add_cron") for field in (minute, hour, day, month, weekday)]
        mine.signals.count("cron")
        order("cron", number, when=when)
        return True

    def add_file_monitor(number, path):
        number = byte(number, "add_file_monitor")
        if not isinstance(path, str):
            raise TypeError("add_file_monitor() takes an int and a str")
        if "\0" in path or len(os.fsencode(path)) > LONGEST_PATH:
            raise ValueError(f"add_file_monitor(): the path has more than {LONGEST_PATH} bytes, or a NUL")
        mine.signals.count("file monitor")
        order("monitor", number, path=os.path.abspath(path))

    return named(register_signal, signal_registered, signal, signal_wait, signal_received, add_timer, add_ms_timer, add_rb_timer, add_cron,
                 add_file_monitor)
