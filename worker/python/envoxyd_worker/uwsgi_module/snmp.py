"""uwsgi.snmp_*: a hundred numbers that SNMP shows, which all processes of the instance share."""
import os
from operator import index

from ..layouts import SNMP_COUNTER32, SNMP_COUNTER64, SNMP_FIRST, SNMP_GAUGE, SNMP_ROOM
from .metrics import wrapped
from .state import named

KINDS = {"counter32": SNMP_COUNTER32, "counter64": SNMP_COUNTER64, "gauge": SNMP_GAUGE}
COMMUNITY_SIZE = 72


def functions(mine):
    if not mine.spec.get("snmp"):
        return {}
    fd = mine.spec["snmp_fd"]
    add, swap = mine.shared.metric_add, mine.shared.metric_swap
    if fd >= 0 and mine.spec["metrics_fd"] < 0:
        mine.shared.attach_metrics(fd, os.fstat(fd).st_size)

    def put(cell, value):
        while not swap(cell, value, add(cell, 0)):  # another process was quicker
            pass

    def apply(oid, kind, operation, value):
        number = byte(oid)
        if not 1 <= number <= SNMP_ROOM:
            return None
        if fd >= 0:  # else this is --check
            cell = SNMP_FIRST + 2 * (number - 1)
            operation(cell, wrapped(value))
            put(cell + 1, kind)  # last: nobody is shown a value that is not there yet
        return True

    def setter(name, kind):
        def change(oid, value, /):
            return apply(oid, kind, put, index(value) & (0xFFFFFFFFFFFFFFFF if kind == SNMP_COUNTER64 else 0xFFFFFFFF))

        change.__name__ = name
        return change

    def adder(name, kind, sign):
        def change(oid, by=1, /):
            return apply(oid, kind, add, sign * index(by))

        change.__name__ = name
        return change

    def snmp_set_community(community, /):
        if not isinstance(community, str):
            raise TypeError(f"snmp_set_community() argument 1 must be str, not {type(community).__name__}")
        if "\0" in community:
            raise ValueError("embedded null character")
        mine.tell("snmp-community", text=community.encode()[:COMMUNITY_SIZE].hex())
        return True

    return named(
        snmp_set_community,
        *(setter(f"snmp_set_{name}", kind) for name, kind in KINDS.items()),
        *(adder(f"snmp_incr_{name}", kind, 1) for name, kind in KINDS.items()),
        *(adder(f"snmp_decr_{name}", kind, -1) for name, kind in KINDS.items()),
    )


def byte(number):
    """An argument that uWSGI takes as one byte, which cannot be more or less."""
    number = index(number)
    if not 0 <= number <= 255:
        raise OverflowError(f"unsigned byte integer is {'less than minimum' if number < 0 else 'greater than maximum'}")
    return number
