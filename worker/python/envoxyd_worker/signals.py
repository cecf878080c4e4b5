"""What signals do in our processes and in those that the application forks from them."""
import faulthandler
import os
import signal
from threading import local

from .log import FD as STDERR

# Signals that mean something to a zygote or worker. A child of the application may handle them as it likes.
OURS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP, signal.SIGWINCH)


def ignore(number, frame):
    """Unlike SIG_IGN this does not reach programs that are executed."""


# Handlers of ours, for which a child of the application has the ordinary ones.
handlers = {ignore, None}


def ignore_broken_pipes():
    """As Python does at its start: an application may have changed it, and a log that nobody reads would end us."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def ordinary_signals():
    """In a process that the application forked: handlers as in any Python, or the application's own."""
    for number in (*OURS, signal.SIGTERM):
        handler = signal.getsignal(number)
        if handler in handlers:
            handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, handler)
    ignore_broken_pipes()
    if faulthandler.is_enabled():
        faulthandler.disable()
        faulthandler.enable(STDERR)


def guard_forks(in_child, in_parent=lambda: None):
    """Holds signals back while the application forks. Those that come to the child before in_child has run would be lost:
    Python forgets what it has not handled yet, and Go's handlers have nobody to tell."""
    masks = local()

    def before():
        masks.kept = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    def restoring(function):
        def after():
            try:
                function()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, masks.kept)

        return after

    os.register_at_fork(before=before, after_in_parent=restoring(in_parent), after_in_child=restoring(in_child))
