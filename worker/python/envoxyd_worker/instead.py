"""--pyrun and --test: what runs in place of serving, and the status that it ends with."""
import importlib
import runpy
import sys

from . import ending, log
from .failures import report, report_import
from .reports import exit_status


def run(python):
    status = imports(python["test"]) if python["test"] else runs(python["script"])
    ending.run_last_functions()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    return status


def imports(module):
    try:
        importlib.import_module(module)
    except SystemExit as wish:
        return exit_status(wish)
    except BaseException as error:
        report_import(error)
        return 1
    log.line(f"module {module} can be imported")
    return 0


def runs(script):
    sys.argv[0] = script
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as wish:
        return exit_status(wish)
    except BaseException as error:
        report(error)
        return 1
    return 0
