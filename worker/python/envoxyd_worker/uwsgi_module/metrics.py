"""uwsgi.metric_*: numbers with names that all processes of the instance share."""
import mmap

from ..layouts import METRIC
from .state import named

GET, SET, ADD, MULTIPLY, DIVIDE, MAX, MIN = range(7)  # worker/shared/python_metrics.c


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
    if names:
        mine.shared.attach_metrics(fd)

    def apply(function, name, operation, value):
        if not isinstance(name, str) or not isinstance(value, int):
            raise TypeError(f"{function}() takes a str and an int")
        number = names.number(name) if names else 0
        if not number:
            return None
        return mine.shared.metric(number, operation, value)

    def changer(function, operation, sign=1):
        def change(name, value=1):
            return None if apply(function, name, operation, sign * value) is None else True

        change.__name__ = function
        return change

    def metric_get(name):
        return apply("metric_get", name, GET, 0) or 0

    changers = {"set": (SET,), "inc": (ADD,), "dec": (ADD, -1), "mul": (MULTIPLY,), "div": (DIVIDE,), "set_max": (MAX,), "set_min": (MIN,)}
    return named(metric_get, *(changer(f"metric_{name}", *how) for name, how in changers.items()))
