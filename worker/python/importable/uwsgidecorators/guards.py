"""Decorators that put something around each call: a lock, a thread, a time limit. Coroutine functions stay what they are."""
import functools
import inspect
import threading

import uwsgi


def lock(f):
    """One process at a time runs the function. A spooler may take no locks: there it is not called, and the result is None."""
    if inspect.iscoroutinefunction(f):

        @functools.wraps(f)
        async def locked(*args, **kwargs):
            if uwsgi.i_am_the_spooler():
                return None
            uwsgi.lock()
            try:
                return await f(*args, **kwargs)
            finally:
                uwsgi.unlock()

    else:

        @functools.wraps(f)
        def locked(*args, **kwargs):
            if uwsgi.i_am_the_spooler():
                return None
            uwsgi.lock()
            try:
                return f(*args, **kwargs)
            finally:
                uwsgi.unlock()

    return locked


def thread(f):
    """Calling the function starts a daemon thread that runs it, and returns the function."""

    @functools.wraps(f)
    def start(*args, **kwargs):
        threading.Thread(target=f, args=args, kwargs=kwargs, daemon=True).start()
        return f

    return start


def harakiri(seconds):
    """The process is killed if the function takes longer than that. One that raises leaves the limit in force."""

    def decorate(f):
        if inspect.iscoroutinefunction(f):

            @functools.wraps(f)
            async def limited(*args, **kwargs):
                uwsgi.set_user_harakiri(seconds)
                result = await f(*args, **kwargs)
                uwsgi.set_user_harakiri(0)
                return result

        else:

            @functools.wraps(f)
            def limited(*args, **kwargs):
                uwsgi.set_user_harakiri(seconds)
                result = f(*args, **kwargs)
                uwsgi.set_user_harakiri(0)
                return result

        return limited

    return decorate
