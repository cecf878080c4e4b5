"""Finds the view classes that modules and packages list in `__loader__`."""
import difflib
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
        classes.extend(_listed(module, path))
    return classes


def load_packages(names):
    """Import each package's `loader` module; the view classes in order."""
    classes = []
    for name in names:
        announce("PPP", f"Package: {name}")
        classes.extend(_listed(importlib.import_module(f"{name}.loader"), f"{name}.loader"))
    return classes


def _listed(module, name):
    listed = getattr(module, "__loader__", None)
    if isinstance(listed, list):
        announce("...", f"Loader: {listed}")
    if isinstance(listed, list) and listed:
        return listed
    near = [other for other, value in vars(module).items() if isinstance(value, list) and value and other != "__loader__"]
    near = difflib.get_close_matches("__loader__", near, n=1, cutoff=0.7)
    hint = f"; did you mean it by {near[0]}?" if near else ""
    announce("!!!", f"{name}: no view is loaded from it: it has no list __loader__ of view classes{hint}")
    return []
