"""Decorators for what the `uwsgi` module offers, under the names that applications import.

Timers, signals, cron, spooler and mules raise what the functions behind them raise.
"""
import functools
import threading

import uwsgi

if not uwsgi.masterpid():
    raise Exception("uwsgidecorators need a master process (--master)")

postfork_chain = []
spooler_functions = {}
mule_functions = {}


def _run_postfork_chain():
    for function in postfork_chain:
        function()


uwsgi.post_fork_hook = _run_postfork_chain


class postfork:
    """@postfork, or @postfork(N) for worker N alone: call the function after the fork."""

    def __init__(self, what):
        self.worker, self.function = (0, what) if callable(what) else (what, None)
        if self.function:
            postfork_chain.append(self)

    def __call__(self, *args, **kwargs):
        if self.function is None:
            self.function = args[0]
            postfork_chain.append(self)
            return self.function
        if self.worker == 0 or self.worker == uwsgi.worker_id():
            return self.function()
        return None


def get_free_signal():
    """The lowest number that no signal is registered under."""
    for number in range(256):
        if not uwsgi.signal_registered(number):
            return number
    raise Exception("no free uwsgi signal available")


class signal:
    """@signal(number, target=...): call the function when the signal comes."""

    def __init__(self, number, target="", **_):
        self.number, self.target = number, target

    def __call__(self, function):
        uwsgi.register_signal(self.number, self.target, function)
        return function


def _scheduled(name):
    """A decorator class that registers a free signal and then calls uwsgi.NAME(signal, ...)."""

    def decorator(*when, target="", signum=None):
        def register(function):
            number = get_free_signal() if signum is None else signum
            uwsgi.register_signal(number, target, function)
            getattr(uwsgi, name)(number, *when)
            return function

        return register

    return decorator


timer = _scheduled("add_timer")
mstimer = _scheduled("add_ms_timer")
rbtimer = _scheduled("add_rb_timer")
cron = _scheduled("add_cron")
filemon = _scheduled("add_file_monitor")


class rpc:
    """@rpc(name): offer the function to uwsgi.rpc()."""

    def __init__(self, name):
        self.name = name

    def __call__(self, function):
        uwsgi.register_rpc(self.name, function)
        return function


def lock(function):
    """One worker at a time runs the function."""

    @functools.wraps(function)
    def locked(*args, **kwargs):
        uwsgi.lock()
        try:
            return function(*args, **kwargs)
        finally:
            uwsgi.unlock()

    return locked


def thread(function):
    """Calling the function starts a daemon thread that runs it."""

    @functools.wraps(function)
    def start(*args, **kwargs):
        threading.Thread(target=function, args=args, kwargs=kwargs, daemon=True).start()
        return function

    return start


def harakiri(seconds):
    """Kill the worker if the function takes longer than that."""

    def decorate(function):
        @functools.wraps(function)
        def limited(*args, **kwargs):
            uwsgi.set_user_harakiri(seconds)
            result = function(*args, **kwargs)
            uwsgi.set_user_harakiri(0)
            return result

        return limited

    return decorate
