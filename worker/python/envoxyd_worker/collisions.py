"""Modules of the same name in several mounted projects: all share one interpreter, so the first to import a name has it."""
import importlib.machinery
import sys
import sysconfig
from os.path import dirname, exists, isfile, join, realpath

LISTED = 10  # names in a message


class Watch:
    """Notes which application brought which top-level modules, and says what the next one will not get of its own."""

    def __init__(self):
        self.brought = {}  # name -> (mountpoint, directory)
        self.installed = {realpath(path) for path in sysconfig.get_paths().values()}

    def warnings(self, point, source):
        """Before an application is loaded: one line for each earlier one whose modules it will get."""
        own = roots(source)
        taken = {}
        for name, (other, directory) in self.brought.items():
            if directory in own or directory in self.installed:
                continue
            if any(isfile(join(root, name + ".py")) or isfile(join(root, name, "__init__.py")) for root in own):
                taken.setdefault((other, directory), []).append(name)
        for (other, directory), names in taken.items():
            listed = ", ".join(sorted(names)[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
            yield (
                f"*** WARNING: {called(point)} ({own[-1]}) gets modules of {called(other)} ({directory}): {listed}."
                " Mounted applications share one interpreter, in which a module's name exists once."
                " Give each project an instance of its own, or rename the modules. ***"
            )

    def loaded(self, point, before):
        """After it: what is in sys.modules now and was not in before came with it."""
        for name in set(sys.modules) - before:
            directory = "." not in name and home(sys.modules[name])
            if directory:
                self.brought.setdefault(name, (point, directory))


def called(point):
    return point or "the default application"


def home(module):
    """The directory in which a top-level module or package was found; None for what is not in a file."""
    try:
        file, package = module.__file__, hasattr(module, "__path__")
    except Exception:  # no file, or something that only looks like a module
        return None
    if not isinstance(file, str):
        return None
    return dirname(dirname(realpath(file))) if package else dirname(realpath(file))


def roots(source):
    """The directories in which an application expects its modules: that of its file, and the one above its package."""
    kind, text = source
    if kind == "file":
        path = text if exists(text) or ":" not in text else text.rpartition(":")[0]
    elif kind == "module":
        try:
            found = importlib.machinery.PathFinder.find_spec(text.partition(":")[0].partition(".")[0])
        except (ImportError, ValueError):
            found = None
        path = getattr(found, "origin", None)
    else:
        path = None
    if not path or not exists(path):
        return []
    all_of_them = [dirname(realpath(path))]
    while isfile(join(all_of_them[-1], "__init__.py")):
        all_of_them.append(dirname(all_of_them[-1]))
    return all_of_them
