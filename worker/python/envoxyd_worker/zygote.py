"""The process that imports the application and then only forks, on the master's word."""
import faulthandler
import gc
import importlib
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import socket
import sys
import threading
import traceback

from . import apps, check, gateway, limits, uwsgi_module, worker

LOAD_FAILED = 22

# Signals that mean something to a zygote or worker; what a child of the application's does with them is its own affair.
OURS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP, signal.SIGWINCH)


def ignore(number, frame):
    """Unlike SIG_IGN this does not reach programs that are executed."""


def ordinary_signals():
    """In a process that the application forked: handlers as in any Python, or the application's own."""
    for number in (*OURS, signal.SIGTERM):
        handler = signal.getsignal(number)
        if handler in (ignore, None):
            handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if faulthandler.is_enabled():
        faulthandler.disable()
        faulthandler.enable()


class Reports:
    """Tells the master, in datagrams of JSON, how far we are."""

    def __init__(self, fd):
        self.socket = socket.socket(fileno=fd)

    def send(self, kind, **more):
        try:
            self.socket.send(json.dumps({"kind": kind, **more}).encode()[:60000])
        except OSError:  # the master is gone: so are we, as soon as we listen to it
            pass


def run(text):
    spec = json.loads(text)
    reports = Reports(spec["control_fd"])
    forker = extension(spec)
    uwsgi = prepare(spec)
    events = gateway.open_gateway(spec)
    if spec.get("check"):
        leave_checked(reports, check.run(spec, uwsgi, reports))
    print("Python version:", sys.version.replace("\n", " "), file=sys.stderr, flush=True)
    try:
        serving = {}
        if not spec["python"]["lazy_apps"]:
            serving = load(spec, uwsgi, reports)
            if events:
                events.register(uwsgi.opt)
    except SystemExit as wish:
        leave(reports, exit_status(wish))
    except BaseException:
        traceback.print_exc()
        leave(reports, LOAD_FAILED)
    if not spec["python"]["lazy_apps"]:
        warn_of_threads()
    gc.collect()
    gc.freeze()
    reports.send("loaded")
    order = obey(reports, forker)
    if order is None:
        os._exit(0)
    os.close(reports.socket.detach())
    work(order, spec, text, uwsgi, serving)


def leave(reports, status):
    reports.send("failed", status=status)
    go(status)


def leave_checked(reports, status):
    warn_of_threads()
    reports.send("checked", status=status)
    go(status)


def go(status):
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def exit_status(wish):
    """The status that sys.exit(code) asks for."""
    if wish.code is None:
        return 0
    if isinstance(wish.code, int):
        return wish.code & 0xFF
    print(wish.code, file=sys.stderr)
    return 1


def prepare(spec):
    """The interpreter as uWSGI's applications find it."""
    python = spec["python"]
    limits.in_zygote(spec["process"])
    for fd in descriptors(spec):  # for our forks, not for what an application executes
        os.set_inheritable(fd, False)
    if not faulthandler.is_enabled():
        faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a line is in the log when it has been printed, and in one write also with PYTHONUNBUFFERED
            stream.reconfigure(line_buffering=True, write_through=False)
    for number in OURS:
        signal.signal(number, ignore)
    sys.argv = ["uwsgi", *python["argv"].split()]
    set_path(spec)
    uwsgi = uwsgi_module.make(spec)
    sys.modules["uwsgi"] = uwsgi
    if "conf_content" in uwsgi.opt:  # an Envoxy service, which may have a run.py of its own
        importlib.import_module("envoxyd_service.bootstrap").prepare(uwsgi.opt)
    return uwsgi


def descriptors(spec):
    """Everything that the master has passed on."""
    yield from (spec["control_fd"], spec["event_fd"], spec["alive_fd"], spec["scoreboard_fd"], spec["locks_fd"])
    yield from (fd for fd in spec["handover_fd"] if fd >= 0)
    yield from (s["fd"] for s in spec["sockets"])
    if spec["log"]["request_fd"]:
        yield spec["log"]["request_fd"]
    yield from (fd for fd in (spec.get("gateway") or {}).values() if fd >= 0)


def set_path(spec):
    import glob

    first = [found for given in spec["python"]["pythonpath"] or () for found in sorted(glob.glob(given)) or [given]]
    sys.path[:0] = [*(os.path.abspath(p) for p in first), ".", ""]
    sys.path += [os.path.join(spec["lib"], "python", "importable"), os.path.join(spec["lib"], "modules")]


def load(spec, uwsgi, reports):
    return apps.load(spec, uwsgi, lambda text: reports.send("step", text=text))


def warn_of_threads():
    """Threads do not survive a fork, and what they hold stays held."""
    names = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    if not names:
        tasks = len(os.listdir("/proc/self/task"))
        names = [f"{tasks - 1} started by an extension"] if tasks > 1 else []
    if names:
        print(
            f"*** WARNING: the application started threads while it was imported ({', '.join(names)}); they do not exist"
            " in the workers, which are forked. Start them after the fork (uwsgidecorators.postfork) or use --lazy-apps. ***",
            file=sys.stderr,
        )


def obey(reports, forker):
    """Forks a worker for each order; returns the order in the worker, and None when no more come."""
    while True:
        command = undisturbed(reports.socket.recv, 4096)
        if not command:  # the master has closed its end
            return None
        order = json.loads(command)
        if order["kind"] != "fork":
            continue
        flush((sys.stdout, sys.stderr))
        try:
            forker.fork_worker()
        except BaseException:
            traceback.print_exc()
        pid = undisturbed(forker.outcome)
        if pid == 0:
            return order
        answer = {"id": order["id"], "worker": order["worker"]}
        if pid > 0:
            reports.send("forked", pid=pid, **answer)
        else:
            reports.send("fork failed", text=os.strerror(-pid), **answer)


def undisturbed(function, *args):
    """Calls function until no signal handler of the application's raises an exception in the midst of it."""
    while True:
        try:
            return function(*args)
        except SystemExit:
            raise
        except BaseException:
            traceback.print_exc()


def extension(spec):
    """The module without Go that forks."""
    path = os.path.join(spec["lib"], "_envoxyd_zygote.abi3.so")
    loader = importlib.machinery.ExtensionFileLoader("_envoxyd_zygote", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location("_envoxyd_zygote", path, loader=loader))
    loader.exec_module(module)
    return module


def flush(streams):
    """What is in them would be written once more by each process that is forked."""
    for stream in streams:
        try:
            stream.flush()
        except Exception:
            pass


def work(order, spec, text, uwsgi, serving):
    """The life of a worker, in the process that was forked for it."""
    try:
        Reports(os.dup(spec["event_fd"])).send("started", worker=order["worker"])
        random.seed()
        worker.main(spec, text, uwsgi, serving, order["worker"], order["again"])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)
