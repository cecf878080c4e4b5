"""The process that imports the application and then only forks, on the master's orders."""
import faulthandler
import gc
import importlib
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import sys
import threading

from . import apps, auxiliary, check, children, ending, gateway, instead, limits, listeners, log, loops, uwsgi_module, worker
from .failures import describe, report, report_import
from .reports import LOAD_FAILED, Reports, exit_status
from .signals import OURS, ignore, ignore_broken_pipes
from .uwsgi_module import shared

LONGEST_PROBLEM = 4000  # characters of a traceback that the master is told


def run(text):
    spec = json.loads(text)
    reports = Reports(spec["control_fd"])
    forker = extension(spec)
    uwsgi = prepare(spec)
    events = gateway.open_gateway(spec)
    if spec.get("check"):
        leave_checked(reports, check.run(spec, uwsgi, reports))
    log.line("Python version: " + sys.version.replace("\n", " "))
    try:
        loops.check(spec)
        if spec["python"]["gevent_patch"]:
            loops.patch()
        serving = {}
        if not spec["python"]["lazy_apps"]:
            serving = load(spec, uwsgi, reports)
            if events:
                events.register(uwsgi.opt)
        if spec["python"]["script"] or spec["python"]["test"]:
            leave(reports, instead.run(spec["python"]))
    except SystemExit as wish:
        leave(reports, exit_status(wish), describe(wish.__cause__) if wish.__cause__ else "")
    except loops.Missing as lack:
        log.line(lack)
        leave(reports, 1, str(lack))
    except BaseException as error:
        report_import(error)
        leave(reports, LOAD_FAILED, describe(error))
    if not spec["python"]["lazy_apps"]:
        warn_of_threads()
    gc.collect()
    gc.freeze()
    ending.on_term()
    ignore_broken_pipes()
    reports.send("loaded")
    order = obey(reports, forker)
    if order is None:
        ending.end()
    os.close(reports.socket.detach())
    spec["control_fd"] = -1  # the number may become one of the application's
    work(order, spec, text, uwsgi, serving)


def leave(reports, status, problem=""):
    reports.send("failed", status=status, text=problem[-LONGEST_PROBLEM:])
    go(status)


def leave_checked(reports, status):
    warn_of_threads()
    reports.send("checked", status=status)
    go(status)


def go(status):
    children.end_now()
    log.flush()
    os._exit(status)


def prepare(spec):
    """The interpreter as uWSGI's applications find it."""
    python = spec["python"]
    limits.in_zygote(spec["process"])
    for fd in inherited(spec):  # for our forks, not for what an application executes
        os.set_inheritable(fd, False)
    children.guard(spec)
    listeners.share()
    if not faulthandler.is_enabled():
        faulthandler.enable(log.FD)
    log.open_streams()
    log.mark = "\0" if spec["log"]["marked"] else ""
    for number in OURS:
        signal.signal(number, ignore)
    sys.argv = ["uwsgi", *python["argv"].split()]
    if python["executable"]:
        sys.executable = python["executable"]
    set_path(spec)
    uwsgi = uwsgi_module.make(spec)
    uwsgi_module.state(uwsgi).importer = os.getpid()
    uwsgi_module.state(uwsgi).auxiliaries("mule")
    shared.close(spec)
    uwsgi_module.state(uwsgi).rows()  # maps the scoreboard, which children have no descriptor of
    sys.modules["uwsgi"] = uwsgi
    if "conf_content" in uwsgi.opt:  # an Envoxy service, which may have a run.py of its own
        importlib.import_module("envoxyd_service.bootstrap").prepare(uwsgi.opt)
    return uwsgi


def inherited(spec):
    """Everything that the master has passed on."""
    return [fd for fd in (*children.descriptors(spec), *children.kept(spec), *(spec.get("gateway") or {}).values()) if fd >= 0]


def set_path(spec):
    import glob

    given_paths = [*(spec["python"]["early_path"] or ()), *(spec["python"]["pythonpath"] or ())]
    first = [found for given in given_paths for found in sorted(glob.glob(given)) or [given]]
    sys.path[:0] = [*(os.path.abspath(p) for p in first), ".", ""]
    sys.path += [os.path.join(spec["lib"], "python", "importable"), os.path.join(spec["lib"], "modules")]


def load(spec, uwsgi, reports):
    return apps.load(spec, uwsgi, lambda text: reports.send("step", text=text))


def warn_of_threads():
    """Threads do not survive a fork, and what they hold stays held."""
    main = {threading.main_thread(), threading.current_thread()}
    names = [t.name for t in threading.enumerate() if t not in main and t.name != "MainThread"]  # eventlet has another object for it
    if not names:
        tasks = len(os.listdir("/proc/self/task"))
        names = [f"{tasks - 1} started by an extension"] if tasks > 1 else []
    if names:
        log.line(
            f"*** WARNING: the application started threads while it was imported ({', '.join(names)}); they do not exist"
            " in the workers, which are forked. Start them after the fork (uwsgidecorators.postfork) or use --lazy-apps. ***"
        )


def obey(reports, forker):
    """Forks a worker for each order; returns the order in the worker, and None when no more come."""
    while True:
        command = undisturbed(receive, reports)
        if not command:  # the master has closed its end
            return None
        order = json.loads(command)
        if order["kind"] != "fork":
            continue
        log.flush()
        children.ours = True
        try:
            forker.fork_worker()
        except BaseException as error:  # of a signal handler of the application's
            report(error)
        pid = undisturbed(forker.outcome)
        if pid == 0:
            return order
        answer = {"id": order["id"], "role": order["role"], "worker": order["worker"]}
        if pid > 0:
            reports.send("forked", pid=pid, **answer)
        else:
            reports.send("fork failed", text=os.strerror(-pid), **answer)


def receive(reports):
    """The next order. Without its socket a zygote is of no use, and its end is what the master hears."""
    if not reports.open():
        log.line("the application has closed descriptors that it did not open, the server's among them")
        go(LOAD_FAILED)
    return reports.socket.recv(4096)


def undisturbed(function, *args):
    """Calls function until no signal handler of the application's raises an exception in the midst of it."""
    while True:
        try:
            return function(*args)
        except SystemExit:
            raise
        except BaseException as error:
            report(error)


def extension(spec):
    """The module without Go that forks."""
    path = os.path.join(spec["lib"], "_envoxyd_zygote.abi3.so")
    loader = importlib.machinery.ExtensionFileLoader("_envoxyd_zygote", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location("_envoxyd_zygote", path, loader=loader))
    loader.exec_module(module)
    return module


def work(order, spec, text, uwsgi, serving):
    """The life of a worker, in the process that was forked for it."""
    try:
        Reports(os.dup(spec["event_fd"])).send("started", role=order["role"], worker=order["worker"])
        if order["role"] != "worker":
            auxiliary.main(spec, uwsgi, order)
        random.seed()
        worker.main(spec, text, uwsgi, serving, order)
    except BaseException as error:
        report(error)
    finally:
        os._exit(1)
