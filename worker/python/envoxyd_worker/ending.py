"""How a zygote ends: when the master has closed its commands, or by SIGTERM; and the last functions of whatever runs the application."""
import atexit
import signal
import threading
from os import _exit, getpid, kill
from signal import SIG_DFL, SIGTERM, getsignal

from . import children, log
from .failures import report
from .signals import handlers

_zygote = _starting = 0
_begun = False
_applications = SIG_DFL  # what the application does at SIGTERM


def on_term():
    """From now on SIGTERM ends the zygote in good order. While it imports, it may not come to run a handler at all."""
    global _zygote, _applications
    _zygote, _applications = getpid(), getsignal(SIGTERM)
    signal.signal(SIGTERM, terminated)


def terminated(number, frame):
    if getpid() == _zygote:
        end()
        return  # it was on its way out
    signal.signal(SIGTERM, SIG_DFL)  # a worker that has only just been forked
    kill(getpid(), SIGTERM)


def restore_term():
    """In a worker: SIGTERM is the application's again, until Go takes it."""
    signal.signal(SIGTERM, SIG_DFL if _applications is None else _applications)


def guard_start():
    """Until Go takes SIGTERM, it ends what a worker has forked while it imports, and the worker."""
    global _starting
    _starting = getpid()
    if getsignal(SIGTERM) == SIG_DFL:
        handlers.add(start_terminated)
        signal.signal(SIGTERM, start_terminated)


def start_terminated(number, frame):
    if getpid() == _starting:
        signal.signal(SIGTERM, signal.SIG_IGN)  # the master may say it again meanwhile
        children.end_now()
    signal.signal(SIGTERM, SIG_DFL)
    kill(getpid(), SIGTERM)


def started(extension):
    """Go has taken SIGTERM."""
    if getsignal(SIGTERM) == start_terminated:  # the application has not set one of its own
        extension.take_signal(SIGTERM)


def end(status=0):
    """Does not return, unless it has been called before."""
    global _begun
    if _begun:
        return
    _begun = True
    try:
        children.end()
    except BaseException as error:
        report(error)
    log.flush()
    _exit(status)


def run_last_functions(threads_too=True):
    """What the interpreter does at its end before it takes itself apart: the threads are joined, atexit's functions are called."""
    for last in (*([threading._shutdown] if threads_too else []), atexit._run_exitfuncs):
        try:
            last()
        except BaseException as error:
            report(error)
