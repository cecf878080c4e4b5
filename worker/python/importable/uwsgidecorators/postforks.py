"""@postfork: what is to run in each process after the fork."""
import functools

import uwsgi

# What is called, in order. Libraries append to it and look through it.
postfork_chain = []


def postfork_chain_hook():
    """Calls everything in the chain; it is uwsgi.post_fork_hook."""
    for function in postfork_chain:
        function()


class postfork:
    """@postfork, or @postfork(N) for worker N alone: call the function after the fork."""

    def __init__(self, f):
        self.wid, self.f = (0, None) if callable(f) else (f, None)
        if callable(f):
            self._take(f)

    def _take(self, f):
        self.f = f
        functools.update_wrapper(self, f)
        postfork_chain.append(self)

    def __call__(self, *args, **kwargs):
        if self.f is None:
            self._take(args[0])
            return args[0]
        if self.wid in (0, uwsgi.worker_id()):
            return self.f(*args, **kwargs)
        return None
