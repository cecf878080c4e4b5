"""The name that ps and /proc/PID/cmdline show."""
import ctypes


def _arguments():
    """Where the kernel has the command line: (start, end) addresses."""
    with open("/proc/self/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    return int(fields[45]), int(fields[46])


def set(name):
    """Writes name over the command line and pads it; longer names are cut to the room that there is."""
    start, end = _arguments()
    size = end - start - 1
    if start and size > 0:
        text = name.encode("utf-8", "surrogateescape")[:size]
        ctypes.memmove(start, text.ljust(size, b"\0"), size)
