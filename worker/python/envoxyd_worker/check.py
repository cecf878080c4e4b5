"""--check: import all that the configuration names, say what does not load, and go."""
import sys

from . import apps
from .failures import blame, report

NO_APP = 22


def run(spec, uwsgi, reports):
    """Imports everything, lazy or not, and goes on after a failure; returns the exit status that a start would end with."""
    python = spec["python"]
    status = 0
    loaded = {}
    for option, value, point, step in steps(python):
        if point in loaded:  # as in a start: the first application of a mountpoint is the only one
            continue
        try:
            step()
        except BaseException as error:
            status = status or wish(error)
            report(error)
            reports.send("problem", option=option, value=value, text=f"{option} {value}: {blame(error)}")
        else:
            if point is not None:
                loaded[point] = value
    if not status and not loaded and not uwsgi.__dict__.get("applications") and python["need_app"]:
        status = NO_APP
        reports.send("problem", text="no application is named, and need-app wants one")
    version = ".".join(map(str, sys.version_info[:3]))
    reports.send("note", text=f"Python {version} ({sys.executable}) has loaded " + (", ".join(loaded.values()) or "no application"))
    return status


def steps(python):
    """(option, its value, mountpoint or None, what to call), in the order of a start."""
    default = python["callable"]
    for option, names in (("early-pyimport", python["early_imports"]), ("shared-import", python["shared_imports"])):
        for name in names or ():
            yield option, name, None, lambda: apps.import_or_run(name)
    for option, kind, text in (("eval", "eval", python["eval"]), ("module", "module", (python["modules"] or [""])[-1]),
                               ("wsgi-file", "file", python["wsgi_file"])):
        if text:
            yield option, text, "", lambda: apps.find((kind, text), default)
    if python["paste"]:
        yield "paste", python["paste"], "", lambda: apps.find(("paste", python["paste"]), python["paste_name"])
    for text in python["mounts"] or ():
        yield "mount", text, apps.normal(text.partition("=")[0]), lambda: apps.find(apps.mount(text)[1], default)
    for name in python["imports"] or ():
        yield "import", name, None, lambda: apps.import_or_run(name)


def wish(error):
    """The status that an application asks for with sys.exit(), else uWSGI's for one that does not load."""
    code = getattr(error, "code", None) if isinstance(error, SystemExit) else None
    return code & 0xFF if isinstance(code, int) and code & 0xFF else NO_APP
