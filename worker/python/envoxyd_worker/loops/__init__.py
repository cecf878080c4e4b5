"""Loops: what runs the requests of a worker as coroutines of one thread. Each request has a core of its own."""
import importlib
import importlib.util
import sys

NEEDS = {"gevent": ["gevent"], "asyncio": ["greenlet"], "async": ["greenlet"], "tornado": ["tornado", "greenlet"]}


def needs(loop):
    """The packages that a loop stands on, and the options that ask for them."""
    if loop["name"] == "asgi":
        return [("uvloop", "asgi-loop")] if loop["event_loop"] == "uvloop" else []
    return [(package, loop["name"]) for package in NEEDS[loop["name"]]]


class Missing(Exception):
    """A loop needs a package that is not installed; the text says which, and what to do."""


def check(spec):
    """Raises Missing if what the loop stands on is not installed. Nothing of it is imported yet: hubs do not survive a fork."""
    wanted = []
    if spec["loop"]:
        wanted += needs(spec["loop"])
    if spec["python"]["gevent_patch"]:
        wanted.append(("gevent", "gevent-early-monkey-patch"))
    for name, option in wanted:
        if importlib.util.find_spec(name) is None:
            python = sys.executable
            raise Missing(f'option "{option}": {python} has no package {name}: install it there ({python} -m pip install {name})')


def patch():
    """Has gevent replace what blocks in the standard library."""
    importlib.import_module("gevent.monkey").patch_all()


def make(spec, extension):
    """The loop that the specification names."""
    name = spec["loop"]["name"]
    return importlib.import_module(f".{name}_loop", __name__).Loop(spec, extension)
