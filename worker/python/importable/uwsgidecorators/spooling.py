"""Decorators for functions whose calls become jobs."""
import functools
import pickle

import uwsgi

# What jobs name, by the functions' names.
spooler_functions = {}

# Keywords of a call that say where, when and with what the job is to run; with pass_arguments they are not the function's.
RESERVED = ("message_dict", "spooler", "priority", "at", "body")
PICKLED = ("args", "kwargs")


def _encoded(text):
    return text.encode() if isinstance(text, str) else text


def _decoded(data):
    """Text where it is text: a body may be any bytes."""
    try:
        return data.decode() if isinstance(data, bytes) else data
    except UnicodeDecodeError:
        return data


def manage_spool_request(job):
    """Runs the function that a job names; it is uwsgi.spooler."""
    values = {_decoded(key): value for key, value in job.items()}
    function = spooler_functions.get(_decoded(values.get("ud_spool_func")))
    if function is None:
        return uwsgi.SPOOL_IGNORE  # its module is not imported here, or somebody else has written the job
    if "args" in values:
        args, kwargs = (pickle.loads(values[name]) for name in PICKLED)
        result = function(*args, **kwargs)
    else:
        result = function({key: _decoded(value) for key, value in values.items()})
    return int(values.get("ud_spool_ret", result))


class _Spooled:
    """A function whose calls are written into a directory of jobs, for a spooler process to make."""

    result = None  # what the job ends with, whatever the function returns; None: what it returns

    def __init__(self, f, pass_arguments=False):
        if "spooler" not in uwsgi.opt and "spooler-external" not in uwsgi.opt:
            raise Exception(f"@{type(self).__name__} needs a spooler (--spooler)")
        self.f, self.pass_arguments = f, pass_arguments
        self.base_dict = {"ud_spool_func": f.__name__}
        if self.result is not None:
            self.base_dict["ud_spool_ret"] = str(self.result)
        self.__doc__ = f.__doc__
        spooler_functions[f.__name__] = f
        f.spool = self.spool

    def __call__(self, *args, **kwargs):
        job = dict(self.base_dict)
        if self.pass_arguments:
            job.update((name, kwargs.pop(name)) for name in RESERVED if name in kwargs)
            job.update(zip(PICKLED, (pickle.dumps(args), pickle.dumps(kwargs))))
        else:
            for more in (*args[:1], kwargs):
                job.update(more)
        return uwsgi.spool({_encoded(key): _encoded(value) for key, value in job.items()})

    def spool(self, *args, **kwargs):
        """The same as a call of the function."""
        return self(*args, **kwargs)


def _decorator(name, result, doc):
    kind = type(name, (_Spooled,), {"result": result, "__doc__": doc})

    def decorate(f=None, pass_arguments=False):
        return functools.partial(kind, pass_arguments=pass_arguments) if f is None else kind(f, pass_arguments)

    decorate.__name__ = decorate.__qualname__ = name
    decorate.__doc__ = doc
    return decorate


spool = _decorator("spool", uwsgi.SPOOL_OK, """@spool, or @spool(pass_arguments=True): a call of the function becomes a job.

Without pass_arguments the function gets one dict, of str, and calls it with a dict or keywords. `at`, `priority`, `spooler` and
`body` say when and where the job runs. The job is done when the function has returned; an exception has it tried again.
""")
spoolraw = _decorator("spoolraw", None, "As spool; what the function returns decides: uwsgi.SPOOL_OK, SPOOL_RETRY or SPOOL_IGNORE.")
spoolforever = _decorator("spoolforever", uwsgi.SPOOL_RETRY, "As spool; the job runs again and again, every --spooler-frequency seconds.")
