"""What is told of an exception: the application's own frames, and the one line that says where and what."""
from os.path import dirname, sep
from traceback import TracebackException

from . import log

OURS = dirname(dirname(dirname(__file__))) + sep  # lib/envoxyd, or where the sources are


class NotFound(Exception):
    """The module is there, the callable in it is not; the text says it all."""


def report(error):
    """Writes the traceback."""
    log.put(trace(error) or headline(error) + "\n")


def report_import(error):
    """Writes the traceback, and last the line that people look for."""
    log.put(describe(error) + "\n")


def describe(error):
    """The traceback, and last the line that people look for."""
    return trace(error) + blame(error)


def trace(error):
    """The traceback as text, without the frames before the application and those of importlib.

    Where none is left, that is all that there is to say of what cannot be found or read; other errors are our own.
    """
    try:
        found = TracebackException(type(error), error, error.__traceback__)
        if own(found.stack) or isinstance(error, (ImportError, SyntaxError, OSError, NotFound)):
            for each in family(found, set()):
                each.stack[:] = own(each.stack)
        if not found.stack:
            return "".join(found.format_exception_only()) if isinstance(error, SyntaxError) else ""
        return "".join(found.format())
    except Exception as another:  # an exception whose class does not let itself be printed
        return f"{type(error).__name__} (not printable: {type(another).__name__})\n"


def family(found, seen):
    """An exception, and those that it came from or consists of."""
    if found is None or id(found) in seen:
        return
    seen.add(id(found))
    yield found
    for other in (found.__cause__, found.__context__, *(getattr(found, "exceptions", None) or ())):
        yield from family(other, seen)


def own(stack):
    """The frames from the application's first one on, but for importlib's."""
    frames = [frame for frame in stack if not frame.filename.startswith("<frozen ") and "/importlib/" not in frame.filename]
    while frames and frames[0].filename.startswith(OURS):
        del frames[0]
    return frames


def blame(error):
    """One line: the file and line that raised it, and what."""
    what = headline(error)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {what}"
    frames = own(TracebackException(type(error), error, error.__traceback__).stack)
    if not frames or frames[-1].filename.startswith(OURS):
        return what
    return f"{frames[-1].filename}:{frames[-1].lineno}: {what}"


def headline(error):
    """The class and the text, in one line."""
    try:
        text = error.msg if isinstance(error, SyntaxError) and error.msg else str(error)
    except Exception:
        text = "(not printable)"
    text = " ".join(text.split("\n")).strip()
    if isinstance(error, NotFound):
        return text
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name}: {text}" if text else name
