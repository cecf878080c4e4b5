"""The `uwsgi` module: what applications and their libraries know the server by.

It is an ordinary module object that anybody may write to. What needs the worker
goes through `state`, which the worker fills in after the fork.
"""
import os
import re
import types

from ..failures import report
from . import cache, chunks, connections, control, files, identity, importers, locks, loops, messages, metrics, mules
from . import placeholders, queue, refused, request, response, rpc, scoreboard, sharedarea, signals, snmp, spool, websockets
from .state import State

# Each has functions(state), which returns those that this process is to have, by name. A later one's hide an earlier one's.
SUBJECTS = (
    refused, identity, scoreboard, request, response, chunks, connections, files, messages, loops, control, locks, cache, queue,
    sharedarea, metrics, snmp, rpc, signals, mules, spool,
    websockets,
)


class Module(types.ModuleType):
    """Adds `env`, the environ of the running request, which costs nothing until somebody asks."""

    def __getattr__(self, name):
        if name == "env":
            kept = self.__dict__["_state"]
            if kept.spec["threads"] < 2:
                try:
                    return kept.request("environ")
                except RuntimeError:
                    pass
        raise AttributeError(f"module 'uwsgi' has no attribute {name!r}")


def state(uwsgi):
    return uwsgi.__dict__["_state"]


def run_hook(uwsgi, name):
    """Calls uwsgi.NAME if somebody has set it; its exceptions are printed, not passed on.

    But for the end of a mule or spooler: the loop of one may be within its post_fork_hook (@mulemsg and kin).
    """
    hook = uwsgi.__dict__.get(name)
    if hook is None:
        return
    try:
        hook()
    except BaseException as error:
        if isinstance(error, SystemExit) and name == "post_fork_hook" and not state(uwsgi).worker:
            raise
        report(error)


def options(spec):
    """uwsgi.opt: True for a bare flag, bytes otherwise, a list for a name given more than once."""
    found = {}
    for name, value, flag in spec["opt"] or ():
        item = True if flag else os.fsencode(value)
        if name not in found:
            found[name] = item
        elif isinstance(found[name], list):
            found[name].append(item)
        else:
            found[name] = [found[name], item]
    service = spec.get("service")
    if service is not None:
        found["conf_content"] = service
    return found


def version_info(text):
    numbers = [int(n) for n in re.findall(r"\d+", text.split("-")[0])][:4]
    numbers += [0] * (4 - len(numbers))
    return (*numbers, text.partition("-")[2].encode())


def make(spec):
    uwsgi = Module("uwsgi")
    uwsgi.__doc__ = None
    mine = State(spec, uwsgi)
    uwsgi.__dict__["_state"] = mine
    uwsgi.__dict__.update(
        version=spec["version"].encode(),
        version_info=version_info(spec["version"]),
        opt=options(spec),
        numproc=spec["processes"],
        cores=spec["cores"],
        has_threads=1,
        buffer_size=spec["limits"]["buffer_size"],
        started_on=spec["started_on"],
        hostname=os.fsencode(spec["python"]["hostname"]),
        loop=spec["loop"] and spec["loop"]["name"].encode(),
        unbit=None,
        applications=None,
        is_a_reload=spec["generation"] > 0,
        magic_table=placeholders.table(spec),
        sockets=[s["fd"] for s in spec["sockets"] or ()],
        SPOOL_OK=-2,
        SPOOL_RETRY=-1,
        SPOOL_IGNORE=0,
    )
    if spec["python"]["pidfile"]:
        uwsgi.pidfile = os.fsencode(spec["python"]["pidfile"])
    mode = placeholders.mode(spec)
    if mode is not None:
        uwsgi.mode = mode
    for subject in SUBJECTS:
        uwsgi.__dict__.update(subject.functions(mine))
    for importer in (importers.SymbolsImporter, importers.SymbolsZipImporter, importers.ZipImporter):
        setattr(uwsgi, importer.__name__, importer)
    return uwsgi
