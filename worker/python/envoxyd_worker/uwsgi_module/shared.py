"""The memory that processes share, and the extension that knows what is in it."""
import importlib.machinery
import importlib.util
import os
import sys

from ..layouts import HEAD, LOCKS_MAGIC
from ..log import line

NAME = "_envoxyd_shared"

_extension = None


def extension():
    """The extension, once attach() has loaded it."""
    return _extension


def attach(spec):
    """Loads the extension and maps all that the specification names; what cannot be mapped ends the start."""
    global _extension
    if _extension is None:
        _extension = sys.modules.get(NAME) or load(os.path.join(spec["lib"], NAME + ".abi3.so"))
    instance = attached("locks", number_of_instance, spec["locks_fd"])
    attached("locks", _extension.attach_locks, spec["locks_fd"], spec["python"]["locks"])
    shared = spec.get("shared") or {}
    for c in shared.get("caches") or ():
        geometry = (c["items"], c["blocks"], c["block_size"], c["key_size"], c["hash_size"], c["bitmap"])
        attached(f'cache "{c["name"]}"', _extension.attach_cache, c["fd"], instance, c["name"], geometry, c["math_initial"],
                 shared["expire_freq"], c["purge_lru"], c["lazy_expire"], c["no_expire"], c["clear_on_full"], c["last_modified"],
                 not c["ignore_full"], shared["report_freed"])
    queue = shared.get("queue")
    if queue:
        attached("queue", _extension.attach_queue, queue["fd"], queue["slots"], queue["block_size"], instance)
    for number, area in enumerate(shared.get("areas") or ()):
        area["view"] = attached(f"sharedarea {number}", _extension.attach_area, area["fd"], area["offset"], area["size"], area["grows"])
    return _extension


def number_of_instance(fd):
    """The number by which stores know whose mutexes are in them: made with the memory of locks, and as old as that is."""
    magic, instance = HEAD.unpack(os.pread(fd, HEAD.size, 0).ljust(HEAD.size, b"\0"))
    if magic != LOCKS_MAGIC:
        instance = int.from_bytes(os.urandom(8), "little")
        os.pwrite(fd, HEAD.pack(LOCKS_MAGIC, instance), 0)
    return instance


def attached(what, function, *args):
    try:
        return function(*args)
    except (OSError, ValueError) as error:
        line(f"{what}: its memory cannot be mapped: {error}")
        raise SystemExit(1) from None


def load(path):
    loader = importlib.machinery.ExtensionFileLoader(NAME, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location(NAME, path, loader=loader))
    loader.exec_module(module)
    return module


def close(spec):
    """What is mapped needs no descriptors, and nobody who is forked or executed gets any."""
    shared = spec.get("shared") or {}
    holders = [*(shared.get("caches") or ()), *(shared.get("areas") or ())]
    if shared.get("queue"):
        holders.append(shared["queue"])
    for fd in {spec["locks_fd"], *(holder["fd"] for holder in holders)}:
        os.close(fd)
    for holder in holders:
        holder["fd"] = -1
    spec["locks_fd"] = -1
