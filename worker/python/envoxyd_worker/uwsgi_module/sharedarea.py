"""Shared areas: bytes, integers and locks in memory that all processes have."""
import math
import struct
import time

from .state import named

SLICE_MS = 500  # of a wait, after which signals are handled


def functions(mine):
    areas = (mine.spec.get("shared") or {}).get("areas")
    if not areas:
        return {}
    shared = mine.shared
    views = [area["view"] for area in areas]

    def view_of(number):
        if not 0 <= number < len(views):
            raise ValueError("no such shared area")
        return views[number]

    def part(number, position, size):
        view = view_of(number)
        if position < 0 or size < 0 or position + size > len(view):
            raise ValueError("out of the shared area")
        return view

    def sharedarea_read(number, position, size=None):
        if size is None:
            size = len(view_of(number)) - position
        return bytes(part(number, position, size)[position : position + size])

    def sharedarea_write(number, position, data):
        data = data.encode() if isinstance(data, str) else memoryview(data).cast("B")
        part(number, position, len(data))[position : position + len(data)] = data
        shared.area_update(number)

    def sharedarea_memoryview(number):
        return memoryview(view_of(number))

    def sharedarea_rlock(number):
        shared.area_rlock(number)

    def sharedarea_wlock(number):
        shared.area_wlock(number)

    def sharedarea_unlock(number):
        shared.area_release(number)

    def sharedarea_update(number):
        """Wakes who waits for a change that was made through a memoryview."""
        shared.area_update(number)

    def sharedarea_wait(number, freq=0, timeout=0):
        """Waits until the area changes: True, or None after timeout seconds. Nobody needs to look again and again for that."""
        before = shared.area_await(number, 0, 0)
        end = time.monotonic() + timeout
        left = math.ceil(timeout * 1000) if timeout else SLICE_MS
        while left > 0:
            if shared.area_await(number, before, min(left, SLICE_MS)) != before:
                return True
            if timeout:
                left = math.ceil((end - time.monotonic()) * 1000)
        return None

    made = named(sharedarea_read, sharedarea_write, sharedarea_memoryview, sharedarea_rlock, sharedarea_wlock, sharedarea_unlock,
                 sharedarea_update, sharedarea_wait)
    made["sharedarea_object"] = object_of(mine, view_of)
    for bits, signed, unsigned in ((8, "b", "B"), (16, "h", "h"), (32, "i", "i"), (64, "q", "q")):
        made[f"sharedarea_read{bits}"] = reader(part, f"sharedarea_read{bits}", struct.Struct("@" + signed))
        made[f"sharedarea_write{bits}"] = writer(part, shared, f"sharedarea_write{bits}", struct.Struct("@" + unsigned))
    for bits in (32, 64):
        made[f"sharedarea_inc{bits}"] = adder(shared, f"sharedarea_inc{bits}", bits // 8, 1)
        made[f"sharedarea_dec{bits}"] = adder(shared, f"sharedarea_dec{bits}", bits // 8, -1)
    aliases = {"readbyte": "read8", "writebyte": "write8", "readlong": "read64", "writelong": "write64", "inclong": "inc64"}
    for alias, name in aliases.items():
        made[f"sharedarea_{alias}"] = made[f"sharedarea_{name}"]
    return made


def object_of(mine, view_of):
    objects = [area.get("object") for area in mine.spec["shared"]["areas"]]

    def sharedarea_object(number):
        """The area as a memoryview; uWSGI gives a bytearray, which could not lie in memory that is shared."""
        view = view_of(number)
        if not objects[number]:
            raise ValueError("the shared area was not made by --py-sharedarea")
        return view

    return sharedarea_object


def reader(part, name, layout):
    def read(number, position):
        return layout.unpack_from(part(number, position, layout.size), position)[0]

    read.__name__ = name
    return read


def writer(part, shared, name, layout):
    def write(number, position, value):
        view = part(number, position, layout.size)
        try:
            layout.pack_into(view, position, value)
        except struct.error as error:
            if not isinstance(value, int):
                raise TypeError(f"{name}() takes an int") from None
            raise OverflowError(str(error)) from None
        shared.area_update(number)

    write.__name__ = name
    return write


def adder(shared, name, size, sign):
    def add(number, position, by=1):
        shared.area_sum(number, position, sign * by, size)

    add.__name__ = name
    return add
