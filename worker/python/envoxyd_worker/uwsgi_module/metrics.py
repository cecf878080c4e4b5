"""uwsgi.metric_*: numbers with names that all processes of the instance share."""
import mmap

from ..layouts import METRIC
from .state import named

LEAST, MOST = -(1 << 63), (1 << 63) - 1


def wrapped(number):
    """The last 64 bits, as C's numbers are."""
    return (number - LEAST) % (1 << 64) + LEAST


def multiplied(now, by):
    then = now * by
    return then if LEAST <= then <= MOST else wrapped(then)


def divided(now, by):
    """As C divides: towards 0. What cannot be divided stays."""
    if by == 0 or (by == -1 and now == LEAST):
        return now
    return abs(now) // abs(by) * (1 if (now < 0) == (by < 0) else -1)


# What a metric becomes. To add, and to look, is one operation of the processor's.
CHANGES = {"set": lambda _, value: value, "mul": multiplied, "div": divided, "set_max": max, "set_min": min}


class Names:
    """The numbers of metrics by name. There may be more of them than the last time, never fewer."""

    def __init__(self, fd):
        self.memory = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        self.numbers = {}

    def number(self, name):
        """0: there is none of that name."""
        found = self.numbers.get(name)
        return self.look(name) if found is None else found

    def look(self, name):
        count = METRIC.unpack_from(self.memory, 0)[0]
        for number in range(len(self.numbers) + 1, count + 1):
            text = METRIC.unpack_from(self.memory, number * METRIC.size)[1]
            self.numbers[text.rstrip(b"\0").decode("utf-8", "surrogateescape")] = number
        return self.numbers.get(name, 0)


def functions(mine):
    fd = mine.spec.get("metrics_fd", -1)
    names = Names(fd) if fd >= 0 else None
    add, swap = mine.shared.metric_add, mine.shared.metric_swap
    if names:
        mine.shared.attach_metrics(fd, len(names.memory))

    def number_of(function, name, value):
        """0: there is none of that name."""
        if not isinstance(name, str) or not isinstance(value, int):
            raise TypeError(f"{function}() takes a str and an int")
        return names.number(name) if names else 0

    def adder(function, sign):
        def change(name, value=1):
            number = number_of(function, name, value)
            if not number:
                return None
            add(number, sign * value)
            return True

        change.__name__ = function
        return change

    def changer(function, become):
        def change(name, value=1):
            number = number_of(function, name, value)
            if not number:
                return None
            if not LEAST <= value <= MOST:
                raise OverflowError(f"{function}() takes an int of 64 bits")
            while True:
                now = add(number, 0)
                then = become(now, value)
                if then == now or swap(number, then, now):  # or somebody else was first
                    return True

        change.__name__ = function
        return change

    def metric_get(name):
        number = number_of("metric_get", name, 0)
        return add(number, 0) if number else 0

    return named(metric_get, adder("metric_inc", 1), adder("metric_dec", -1),
                 *(changer(f"metric_{name}", become) for name, become in CHANGES.items()))
