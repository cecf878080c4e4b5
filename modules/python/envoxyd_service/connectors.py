"""Our connectors inside an `envoxy` package that the deployment has itself.

Its own open sockets and start threads before the workers are forked, lose messages, log secrets, and more. So its connectors are
imported from the bundled package; views, assertions, logs and all else stay its own. What it lacks of what ours import comes from there
too.
"""
import importlib.machinery
import importlib.util
import os
import sys

BUNDLED = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "envoxy")

# Packages and modules of envoxy that are ours; a package is so with all that is in it.
OURS = (
    "auth.backends", "cache.redis", "celery", "couchdb", "db.dispatcher", "db.exceptions", "db.orm.session", "mqtt", "postgresql",
    "redis", "zeromq",
)
_DECORATORS = "envoxy.decorators"


def install():
    """Have `import envoxy` use our connectors, if that is not the bundled package anyway."""
    if real_is_used() and not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


def real_is_used():
    """True when the deployment has an envoxy of its own."""
    spec = sys.modules["envoxy"].__spec__ if "envoxy" in sys.modules else importlib.util.find_spec("envoxy")
    return bool(spec and spec.origin) and os.path.dirname(os.path.realpath(spec.origin)) != os.path.realpath(BUNDLED)


class Finder:
    """Looks for the modules of envoxy in both packages: for the connectors in ours first, for others in the real one."""

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        """The module's spec; None for one that is not of envoxy, or that neither package has."""
        package, _, name = fullname.partition(".")
        if package != "envoxy" or not name:
            return None
        *parents, last = name.split(".")
        places = [*(path or ()), os.path.join(BUNDLED, *parents)]
        if any(name == one or name.startswith(one + ".") for one in OURS):
            places.insert(0, places.pop())
        spec = importlib.machinery.PathFinder.find_spec(fullname, places)
        if spec is not None and spec.submodule_search_locations:  # a package: what it lacks itself the other one may have
            spec.submodule_search_locations = list(dict.fromkeys(os.path.join(place, last) for place in places))
        if spec is not None and fullname == _DECORATORS:
            spec.loader = _WithLogEvent(spec.loader)
        return spec


class _WithLogEvent:
    """Loads the real decorators, and puts our log_event among them: the real one ends the thread of a broker's client."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def exec_module(self, module):
        self._loader.exec_module(module)
        module.log_event = importlib.import_module("envoxy.event_log").log_event
