"""A worker after the fork: load the extension, serve, leave in good order."""
import faulthandler
import functools
import importlib.machinery
import importlib.util
import json
import os
import shlex
import signal
import sys
import threading

from . import (
    apps,
    autoreload,
    children,
    ending,
    gateway,
    hooks,
    limits,
    listeners,
    log,
    loops,
    routing,
    threads,
    tracebacker,
    uwsgi_module,
    wsgi,
)
from .failures import report_import
from .reports import LOAD_FAILED, Reports, exit_status
from .signals import guard_forks, ordinary_signals
from .uwsgi_module import services, shared, signals


def main(spec, text, uwsgi, serving, order):
    python, number = spec["python"], order["worker"]
    ending.restore_term()
    ending.guard_start()
    if spec["log"]["worker_fd"]:  # --worker-logger
        log.flush()
        for fd in (1, 2):
            os.dup2(spec["log"]["worker_fd"], fd)
    children.adopt_none()
    listeners.restore()
    threads.prepare_greenlets()
    limits.in_worker(spec["process"], number)
    become(python["user"])
    name_process(python["procname"].replace("\0", str(number)))
    state = uwsgi_module.state(uwsgi)
    state.worker = number
    events = gateway.current() if spec.get("gateway") else None
    if events:
        events.in_worker(number)
    if python["exec"] and not python["exec_late"]:
        execute(spec, number)
    try:
        hooks.run(spec["process"]["hooks"], "post-fork")
        uwsgi_module.run_hook(uwsgi, "post_fork_hook")
        if python["lazy_apps"]:
            if spec["processes"] == 1:  # its predecessor may still have what it binds
                listeners.share()
            serving = apps.load(spec, uwsgi, lambda step: None)
            listeners.restore()
            if events:
                events.register(uwsgi.opt)
        serving = apps.load_in_worker(spec, uwsgi, serving)
        for name in python["imports"] or ():
            apps.import_or_run(name)
    except hooks.Failed as error:
        fail_hook(spec, number, error)
    except SystemExit as wish:
        fail(spec, number, exit_status(wish))
    except BaseException as error:
        report_import(error)
        fail(spec, number, LOAD_FAILED)
    if python["exec"]:
        execute(spec, number)
    if spec["process"]["stack_signal"]:
        faulthandler.register(spec["process"]["stack_signal"], file=log.FD, all_threads=True)
    with limits.AddressSpace(spec["process"]["limit_as"], spec["threads"]):
        extension = start(spec, text, order)
    state.extension = extension
    state.loop = loop = begin_loop(spec, extension)
    settings = wsgi.settings(spec, uwsgi, apps.choose(serving, python, extension, state.served.of(number)), extension)
    extension.outside(routing.Outside(uwsgi))
    settings["event"] = events.application if events else None
    settings["signal"] = functools.partial(signals.handle, state)
    settings["service"] = services.Services(state)
    try:
        hooks.accepting(spec["process"]["hooks"], number, order["again"])
    except hooks.Failed as error:
        fail_hook(spec, number, error)
    threads.prepare_greenlets()  # of lazy-apps
    if python["thread_stack"]:
        limits.attempt("thread-stacksize", threading.stack_size, python["thread_stack"])
    cores = [threads.start(serve, (extension, core, settings), f"uWSGIWorker{number}Core{core}") for core in range(1, spec["threads"])]
    threads.name_this(f"uWSGIWorker{number}Core0")
    if python["autoreload_ms"] and number == 1:
        autoreload.start(python["autoreload_ms"] / 1000, uwsgi.reload, python["autoreload_skip"] or ())
    if python["tracebacker"]:
        tracebacker.start(python["tracebacker"], number)
    if loop and not loop.start(settings, lambda core: of_core(settings, core)):
        log.line("*** the application has refused to start ***")
        fail(spec, number, LOAD_FAILED)
    state.ready = True
    extension.ready()
    if loop:
        loop.run()
    else:
        serve(extension, 0, settings)
    for core in cores:
        core.join()
    end(spec, uwsgi, extension)


def begin_loop(spec, extension):
    """The loop of this process, if it has one: made after the fork, and after the application has been imported."""
    if not spec["loop"]:
        return None
    if spec["loop"]["patch"]:
        loops.patch()
    threads.prepare_greenlets()
    log.line(f"*** running {spec['loop']['name']} loop engine ***")
    return loops.make(spec, extension)


def execute(spec, number):
    """--worker-exec: another program is the worker from now on. The first socket is its standard input, as with FastCGI."""
    words = shlex.split(spec["python"]["exec"])
    if spec["sockets"]:
        os.set_blocking(spec["sockets"][0]["fd"], True)
        os.dup2(spec["sockets"][0]["fd"], 0)
    for caught in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(caught) is not signal.SIG_DFL:
            signal.signal(caught, signal.SIG_DFL)
    Reports(os.dup(spec["event_fd"])).send("ready", worker=number, pid=os.getpid())
    log.flush()
    try:
        os.execvp(words[0], words)
    except (OSError, IndexError) as error:
        log.line(f"worker-exec: {spec['python']['exec']}: {error}")
        log.flush()
        os._exit(1)


def become(user):
    """Drops the zygote's privileges, if there are any to drop."""
    if user:
        os.setgroups(user["groups"])
        os.setgid(user["gid"])
        os.setuid(user["uid"])


def fail_hook(spec, number, error):
    log.line(error)
    fail(spec, number, 1)


def fail(spec, number, status):
    events = Reports(os.dup(spec["event_fd"]))
    events.send("failed", worker=number, pid=os.getpid(), status=status)
    children.end_now()
    log.flush()
    os._exit(status)


def start(spec, text, order):
    path = os.path.join(spec["lib"], "_envoxyd.abi3.so")
    loader = importlib.machinery.ExtensionFileLoader("_envoxyd", path)
    extension = importlib.util.module_from_spec(importlib.util.spec_from_file_location("_envoxyd", path, loader=loader))
    debug = os.environ.get("GODEBUG")
    # A core's thread looks to Go's scheduler like one long call; its preemption signals would only cost EINTRs.
    os.environ["GODEBUG"] = "asyncpreemptoff=1" + (f",{debug}" if debug else "")
    loader.exec_module(extension)
    sys.modules["_envoxyd"] = extension
    if order["row"] != order["worker"]:
        text = json.dumps({**json.loads(text), "row": order["row"]})
    extension.alternate_stacks()
    extension.start(text.encode(), order["worker"], spec["cores"], shared.extension().without_gil)
    ending.started(extension)
    if debug is None:
        del os.environ["GODEBUG"]
    else:
        os.environ["GODEBUG"] = debug
    tame_signals(extension)

    def in_child():
        """A process that the application forks has no Go runtime; children.py does the rest."""
        extension.forked()
        ordinary_signals()

    guard_forks(in_child)
    return extension


def tame_signals(extension):
    """Python before 3.10 installs handlers that must not run on a Go thread's small stack."""
    extension.alternate_stacks()
    if sys.version_info < (3, 10):
        plain = signal.signal

        def install(number, handler):
            old = plain(number, handler)
            extension.alternate_stacks()
            return old

        signal.signal = install
    signal.set_wakeup_fd(extension.wakeup_fd(), warn_on_full_buffer=False)


def serve(extension, core, settings):
    extension.serve(core, of_core(settings, core))


def of_core(settings, core):
    """The settings for one core, which has an environ of its own."""
    environ = wsgi.roomy(settings["environ"])
    if "uwsgi.core" in environ:
        environ["uwsgi.core"] = core
    return {**settings, "environ": environ}


def end(spec, uwsgi, extension):
    """Python's own way out, but for the interpreter's finalisation: Go's threads are still there."""
    if not spec["python"]["skip_atexit"]:
        uwsgi_module.run_hook(uwsgi, "atexit")
        ending.run_last_functions()
    log.flush()
    status = extension.status()
    extension.close_services()
    os._exit(status)


def name_process(name):
    """Writes a name over the command line, as far as it has room (--procname and kin)."""
    if not name:
        return
    from . import procname

    procname.set(name)
