"""What the cores need to call the application: environ, error reports, file wrapper."""
import os
import stat
from traceback import format_exception

from . import log, responses

ROOMY = 22  # entries for which CPython makes a table of 64 places, of which it uses 42


class FileWrapper:
    """wsgi.file_wrapper: a file whose bytes the server may send without Python's help."""

    def __init__(self, filelike, blksize=32768):
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.blksize)
        if not data:
            raise StopIteration
        return data

    def region(self):
        """(fd, offset, size) of what is left of a regular file; None for everything else."""
        try:
            fd = self.filelike.fileno()
            info = os.fstat(fd)
            offset = self.filelike.tell()
        except (AttributeError, OSError, ValueError):
            return None
        return (fd, offset, max(info.st_size - offset, 0)) if stat.S_ISREG(info.st_mode) else None


class Errors:
    """Reports what an application raises: to the log, and to the client where it is to know."""

    def __init__(self, spec, extension):
        self.catch = spec["python"]["catch_exceptions"]
        self.recycle = spec["python"]["reload_on_exception"]
        self.types, self.values, self.reprs = (spec["python"]["reload_on_exception_" + of] or () for of in ("types", "values", "reprs"))
        self.extension = extension

    def __call__(self, kind, value, trace, where):
        if kind is GeneratorExit:
            return None
        try:
            text = "".join(format_exception(kind, value, trace))
        except Exception as another:
            text = f"{kind.__name__} (not printable: {type(another).__name__})\n"
        log.put(text)
        if isinstance(value, SystemExit):
            self.extension.stop(value.code if isinstance(value.code, int) else 1)
        elif where == "application" and (self.recycle or self.monitored(kind, value)):
            log.line(f"... monitored exception detected, respawning worker (pid: {os.getpid()})...")
            self.extension.stop(5)
        if not self.catch or where != "application":
            return None
        body = (
            f"uWSGI exceptions catcher\n\nException: {kind.__name__}: {value}\n\nException class: {kind}\n\n"
            f"Exception message: {value}\n\nBacktrace:\n{text}"
        )
        return "500 Internal Server Error", [("Content-Type", "text/plain")], body.encode("utf-8", "backslashreplace")


    def monitored(self, kind, value):
        """Whether the type, the text, or both as TYPE: TEXT are what a worker is to be replaced for."""
        if not self.types and not self.values and not self.reprs:
            return False
        try:
            text = str(value)
        except Exception:
            text = ""
        names = {kind.__name__, f"{kind.__module__}.{kind.__qualname__}"}
        return not names.isdisjoint(self.types) or text in self.values or any(f"{name}: {text}" in self.reprs for name in names)


def after_request(hook, python, extension):
    """The application's hook; with --harakiri-no-arh its time does not count."""
    if hook is None or not python["harakiri_no_after"]:
        return hook

    def run():
        extension.user_harakiri(-1)
        hook()

    return run


def settings(spec, uwsgi, app, extension):
    python = spec["python"]
    environ = {
        "wsgi.version": (1, 0),
        "wsgi.errors": log.errors,
        "wsgi.run_once": False,
        "wsgi.multithread": spec["threads"] > 1,
        "wsgi.multiprocess": spec["processes"] > 1,
        "wsgi.url_scheme": "http",
        "uwsgi.version": uwsgi.version,
        "uwsgi.node": uwsgi.hostname,
    }
    if not python["no_file_wrapper"]:
        environ["wsgi.file_wrapper"] = FileWrapper
    if spec["cores"] > 1:
        environ["uwsgi.core"] = 0
    if python["manage_chunked"]:
        environ["wsgi.input_terminated"] = False
    return {
        "asgi": app,  # as it is
        "app": responses.wrap(app, python, uwsgi.set_logvar),
        "environ": environ,
        "after": after_request(uwsgi.__dict__.get("after_req_hook"), python, extension),
        "on_error": Errors(spec, extension),
        "file_wrapper": FileWrapper,
        "add_headers": "".join(h.strip() + "\r\n" for h in python["add_headers"] or ()).encode("latin-1") or None,
        "del_headers": tuple(h.strip().rstrip(":").lower().encode("latin-1") for h in python["del_headers"] or ()) or None,
        "strict": python["strict"],
        "any_buffer": python["accept_buffer"],
        "hold_errors": not spec["log"]["write_exceptions"],
    }


def roomy(environ):
    """A copy with room for the variables of a request. A copy of a dict has a table as large as the original's: copies of this one
    do not have to grow, which takes longer than adding the variables does."""
    made = dict(environ)
    for number in range(ROOMY - len(environ)):
        made[f"spare {number}"] = None
    while len(made) > len(environ):
        made.popitem()
    return made
