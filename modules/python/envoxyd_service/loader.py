"""Finds the view classes that modules and packages list in `__loader__`."""
import importlib
import importlib.util

from .startup import announce

loaded = {}  # path -> module, of `modules`: they are in nobody's sys.modules


def load_modules(paths):
    """Execute each file under the module name `__init__`; the view classes in order."""
    classes = []
    for path in paths:
        announce("MMM", f"Module path: {path}")
        spec = importlib.util.spec_from_file_location("__init__", path)
        if spec is None:
            raise ImportError(f"not a Python file: {path}", path=path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        loaded[path] = module
        classes.extend(_listed(module))
    return classes


def load_packages(names):
    """Import each package's `loader` module; the view classes in order."""
    classes = []
    for name in names:
        announce("PPP", f"Package: {name}")
        classes.extend(_listed(importlib.import_module(f"{name}.loader")))
    return classes


def _listed(module):
    listed = getattr(module, "__loader__", None)
    if not isinstance(listed, list):  # Python's own __loader__: the module lists nothing
        return []
    announce("...", f"Loader: {listed}")
    return listed
