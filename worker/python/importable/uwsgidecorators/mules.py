"""Decorators for mules and farms."""
import functools
import os
import pickle
import sys
import traceback

import uwsgi

from .postforks import postfork_chain

SERVICE = "uwsgi_mulefunc"

# What mules call for others, by name.
mule_functions = {}


class mulefunc:
    """@mulefunc, or @mulefunc(N or b"farm"): a call of the function is run by a mule; it returns None at once."""

    def __init__(self, f):
        self.mule, self.fname = (0, None) if callable(f) else (f, None)
        if callable(f):
            self._take(f)

    def _take(self, f):
        self.fname = f.__name__
        mule_functions[self.fname] = f
        functools.update_wrapper(self, f)

    def real_call(self, *args, **kwargs):
        """Sends the call to the mule."""
        message = pickle.dumps({"service": SERVICE, "func": self.fname, "args": args, "kwargs": kwargs})
        if len(message) > uwsgi.mule_msg_recv_size():
            raise ValueError(f"{self.fname}(): arguments of {len(message)} bytes are over --mule-msg-recv-size, and would be cut")
        if uwsgi.mule_msg(message, self.mule) is False:
            uwsgi.log(f"*** {self.fname}(): the mules have too many messages waiting: a call is lost ***")

    def __call__(self, *args, **kwargs):
        if self.fname is None:
            self._take(args[0])
            return self.real_call
        return self.real_call(*args, **kwargs)


def mule_msg_dispatcher(message):
    """Runs the call that a message of mulefunc's asks for; other messages are none of its business."""
    if SERVICE.encode() not in message:
        return None
    try:
        asked = pickle.loads(message)
        function = mule_functions[asked["func"]] if asked["service"] == SERVICE else None
    except Exception as error:
        uwsgi.log(f"*** a call of a mule cannot be read: {type(error).__name__}: {error} ***")
        return None
    return function(*asked["args"], **asked["kwargs"]) if function else None


def _run(f, *args):
    """Calls f; what it raises ends this mule, which is started again."""
    try:
        f(*args)
    except SystemExit:
        raise
    except BaseException:
        traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:  # closed or replaced
                pass
        os._exit(1)


class mule_brain:
    """In the postfork chain: runs a function once in one mule."""

    def __init__(self, f, num):
        self.f, self.num = f, num

    def __call__(self):
        if uwsgi.mule_id() == self.num:
            self.run()

    def run(self):
        _run(self.f)


class mule_brainloop(mule_brain):
    """Likewise, again and again."""

    def run(self):
        while True:
            _run(self.f)


class mulemsg_loop(mule_brain):
    """Likewise, with each message that the mule gets."""

    def run(self):
        while True:
            message = uwsgi.mule_get_msg()
            if message:
                _run(self.f, message)


class farm_loop:
    """In the postfork chain: runs a function with each message of a farm, in its mules."""

    def __init__(self, f, farm):
        self.f, self.farm = f, farm

    def __call__(self):
        if uwsgi.mule_id() == 0 or not uwsgi.in_farm(self.farm):
            return
        while True:
            message = uwsgi.farm_get_msg()
            if message:
                _run(self.f, message)


class mule:
    """@mule(N): mule N runs the function when it starts."""

    loop = mule_brain

    def __init__(self, num):
        self.num = num

    def __call__(self, f):
        postfork_chain.append(self.loop(f, self.num))
        return f


class muleloop(mule):
    """@muleloop(N): mule N does nothing else but call the function."""

    loop = mule_brainloop


class mulemsg(mule):
    """@mulemsg(N): mule N calls the function with each message that it gets, as bytes."""

    loop = mulemsg_loop


class farm:
    """@farm(name): a mule of the farm calls the function with each message that the farm gets, as bytes."""

    def __init__(self, name=None, **_):
        self.name = name

    def __call__(self, f):
        postfork_chain.append(farm_loop(f, self.name))
        return f
