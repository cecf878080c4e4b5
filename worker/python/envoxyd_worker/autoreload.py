"""--py-autoreload: reload everything when a file of an imported module changes."""
import os
import sys
from time import sleep

from . import log, threads


def start(interval, reload, skip=()):
    """Looks every `interval` seconds, on a thread that ends with the process; what is there now counts as loaded."""
    threads.start(watch, (interval, reload, {path: changed for _, path, changed in files(skip)}, skip), "py-autoreload")


def watch(interval, reload, known, skip=()):
    """Asks for one reload for each look that finds changes. It goes on after that: the reload may fail, and the file be mended."""
    while True:
        modified = False
        for name, path, changed in files(skip):
            if known.setdefault(path, changed) != changed:
                known[path] = changed
                modified = True
                log.line(f"[uwsgi-python-reloader] module/file {name} has been modified")
        if modified:
            reload()
        sleep(interval)


def files(skip=()):
    """(module name, source file, time of its last change) of everything that has been imported by now, but for the modules to skip."""
    for name, module in list(sys.modules.items()):
        if name in skip:
            continue
        try:
            path = module.__file__
            path = path[:-1] if path.endswith(".pyc") else path
            yield name, path, os.stat(path).st_mtime_ns
        except Exception:  # no file, something that is no module, half written, or gone for good: the next look tells
            continue
