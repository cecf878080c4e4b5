"""What the application forks while it is imported ends with its generation, also when the importing process is killed."""
import json
import os
import signal

import pytest
from apps import ANSWER
from http_client import Broken, eventually, get
from server import alive
from transports import http_socket

# Forks a manager and a plain child; where there is a file `hold`, also one that does not hear SIGTERM and one with a child of
# its own, and it waits until that is gone; where there is `detach`, a daemon in a session of its own. `started` holds the pids.
APP = f"""
import json, multiprocessing, os, signal, time
{ANSWER}
def fork(work):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        work()
        os.write(writer, b".")
        time.sleep(600)
        os._exit(0)
    os.read(reader, 1)
    return pid

def child_with_child():
    pid = fork(lambda: None)
    with open("grandchild", "w") as file:
        file.write(str(pid))

def detach():
    os.setsid()
    if os.fork():
        os._exit(0)
    with open("daemon.new", "w") as file:
        file.write(str(os.getpid()))
    os.replace("daemon.new", "daemon")
    os.closerange(0, 1000)

manager = multiprocessing.get_context("fork").Manager()
shared = manager.dict(count=0)
started = [manager._process.pid, fork(lambda: None)]
if os.path.exists("hold"):
    started += [fork(lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)), fork(child_with_child)]
    started.append(int(open("grandchild").read()))
if os.path.exists("detach"):
    if os.fork() == 0:
        detach()
        time.sleep(600)
    os.wait()
    while not os.path.exists("daemon"):
        time.sleep(0.01)
with open("started.new", "w") as file:
    json.dump([os.getpid(), *started], file)
os.replace("started.new", "started")
while os.path.exists("hold"):
    time.sleep(0.01)

def application(environ, start_response):
    shared["count"] += 1
    return answer(start_response, str(shared["count"]))
"""


def started(running):
    """The importer, and what it has forked."""
    importer, *forked = json.loads(eventually(lambda: (running.dir / "started").exists() and (running.dir / "started").read_text()))
    assert set(forked) <= set(running.processes())
    return importer, forked


def count(port):
    """How often the application was asked; 0: it does not answer."""
    try:
        return int(get(port, timeout=5).text)
    except (OSError, Broken, ValueError):
        return 0


@pytest.mark.parametrize("how", ["TERM", "TERM twice", "kill -9 of the importer", "TERM of the importer"])
def test_a_start_that_is_ended_while_it_imports(server, how):
    running = server(None, ["--master", "--http-socket", "127.0.0.1:0"], app=APP, files={"hold": "", "detach": ""})
    importer, forked = started(running)
    daemon = int((running.dir / "daemon").read_text())
    if how.startswith("TERM") and "importer" not in how:
        running.signal(signal.SIGTERM)
        if "twice" in how:
            running.signal(signal.SIGINT)
    else:
        running.signal_process(importer, signal.SIGKILL if "kill" in how else signal.SIGTERM)
    running.wait_exit(20)
    eventually(lambda: running.processes() == [daemon])  # it has left on purpose
    os.kill(daemon, signal.SIGKILL)


@pytest.mark.parametrize("how", ["kill -9", "TERM"])
def test_a_reload_whose_importer_is_ended(server, how):
    transport = http_socket()
    running = server(transport, ["--master"], app=APP)
    first = started(running)[1]
    assert count(transport.port) == 1
    running.write("hold", "")
    os.unlink(running.dir / "started")
    running.signal(signal.SIGHUP)
    importer, forked = started(running)
    running.signal_process(importer, signal.SIGKILL if how == "kill -9" else signal.SIGTERM)
    running.wait_log("reload failed")
    eventually(lambda: not set(forked) & set(running.processes()))
    assert set(first) <= set(running.processes())
    assert count(transport.port) == 2
    os.unlink(running.dir / "hold")
    running.signal(signal.SIGTERM)
    assert running.wait_exit(20) == 0
    running.wait_gone()


def test_a_zygote_that_is_killed_leaves_its_workers_what_they_need(server):
    transport = http_socket()
    running = server(transport, ["--master", "--processes", "2"], app=APP)
    zygote, forked = started(running)
    assert count(transport.port) == 1
    running.wait_log("spawned uWSGI master process")  # before that, the start would have failed
    running.write("hold", "")
    os.unlink(running.dir / "started")
    running.signal_process(zygote, signal.SIGKILL)
    second = started(running)[1]
    assert count(transport.port) == 2 and set(forked) <= set(running.processes())
    os.unlink(running.dir / "hold")
    running.wait_log("gracefully .RE.spawned")
    eventually(lambda: not set(forked) & set(running.processes()))
    assert set(second) <= set(running.processes())
    eventually(lambda: count(transport.port) in (1, 2))
    assert all(map(alive, second))


LAZY = f"""
import json, multiprocessing, os, time
{ANSWER}
context = multiprocessing.get_context("fork")
manager = context.Manager()
child = context.Process(target=time.sleep, args=(600,), daemon=True)
child.start()
with open("started.new", "w") as file:
    json.dump([os.getpid(), manager._process.pid, child.pid], file)
os.replace("started.new", "started")
while os.path.exists("hold"):
    time.sleep(0.01)

def application(environ, start_response):
    return answer(start_response, "1")
"""


@pytest.mark.parametrize("how", ["stop", "TERM of the worker", "another reload"])
def test_a_worker_that_is_ended_while_it_imports(server, how):
    """--lazy-apps: what it has forked is told to end, too."""
    transport = http_socket()
    running = server(transport, ["--master", "--lazy-apps"], app=LAZY)
    first = started(running)[1]
    eventually(lambda: count(transport.port) == 1)
    running.write("hold", "")
    os.unlink(running.dir / "started")
    running.signal(signal.SIGHUP)
    importer, forked = started(running)
    if how == "another reload":
        os.unlink(running.dir / "hold")
        running.wait_log("gracefully .RE.spawned")
        eventually(lambda: not set(first) & set(running.processes()))
        running.signal(signal.SIGTERM)
    elif how == "stop":
        running.signal(signal.SIGTERM)
    else:
        running.signal_process(importer, signal.SIGTERM)
        eventually(lambda: not set(forked) & set(running.processes()))
        os.unlink(running.dir / "hold")
        running.signal(signal.SIGTERM)
    assert running.wait_exit(20) == 0
    running.wait_gone()


@pytest.mark.parametrize("lazy", [False, True])
def test_to_the_application_a_serving_worker_has_no_handler_of_sigterm(server, lazy):
    transport = http_socket()
    app = ANSWER + """
import signal
def application(environ, start_response):
    return answer(start_response, signal.getsignal(signal.SIGTERM).name)
"""
    server(transport, ["--master", *["--lazy-apps"] * lazy], app=app)
    assert get(transport.port).text == "SIG_DFL"
