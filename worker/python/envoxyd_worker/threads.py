"""Threads of ours are threads of the system, also when gevent or eventlet have put greenlets in their place."""
import sys
import threading
from _thread import allocate_lock, start_new_thread

from .failures import report

# What monkey patching replaces in `threading`; not every Python has all of it.
PATCHED = {name: getattr(threading, name, None)
           for name in ("Thread", "_start_new_thread", "_start_joinable_thread", "_allocate_lock", "get_ident", "current_thread")}


def patched():
    """Whether somebody has replaced what makes threads."""
    return any(getattr(threading, attribute, None) is not value for attribute, value in PATCHED.items())


def prepare_greenlets():
    """Gives the main thread its event loop, one of this process. The loop's module is then imported: several threads that import
    it at once, as each does at its first wait, lock each other out for ever."""
    if not patched():
        return
    for name, function in (("gevent", "reinit"), ("gevent", "get_hub"), ("eventlet.hubs", "get_hub")):
        module = sys.modules.get(name)
        try:
            if module is not None:
                getattr(module, function)()
        except Exception as error:
            report(error)


def start(function, args, name):
    """Starts a daemon thread; returns what join() waits for."""
    if not patched():
        thread = threading.Thread(target=function, args=args, name=name, daemon=True)
        thread.start()
        return thread
    return Thread(function, args, name)


class Thread:
    """A thread that `threading` has not started; there it shows under its name as one that somebody else did."""

    def __init__(self, function, args, name):
        self.running = allocate_lock()
        self.running.acquire()
        start_new_thread(self.run, (function, args, name))

    def run(self, function, args, name):
        try:
            name_this(name)
            function(*args)
        except BaseException as error:
            report(error)
        finally:
            self.running.release()

    def join(self):
        with self.running:
            pass


def name_this(name):
    """Names the thread that calls it."""
    try:
        threading.current_thread().name = name
    except Exception:  # it is only a name
        pass
