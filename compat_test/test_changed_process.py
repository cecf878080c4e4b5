"""An application may change the process that imports it: its streams, print, threads. It is served all the same."""
import os
import signal
import sys

import pytest
from apps import ANSWER
from http_client import Broken, Connection, eventually, get
from transports import http_socket

APP = f"""
import os, sys, uwsgi
{ANSWER}
def application(environ, start_response):
    errors = environ["wsgi.errors"]
    path = environ["PATH_INFO"]
    if path == "/errors":
        errors.write("one line ")
        errors.write("\\udc80\\u00e9\\n")
        errors.writelines(["two", " lines\\n"])
        errors.write("rest")
        errors.flush()
        errors.close()
    if path == "/raise":
        raise ValueError("as wanted")
    uwsgi.log("a line of the log")
    return answer(start_response, str(os.getpid()))
"""

WRITE_ONLY = """
class Writer:
    def write(self, text):
        return len(text)
sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = Writer()
"""

FLUSH_RAISES = """
class Stream:
    def write(self, text):
        raise OSError("write")
    def flush(self):
        raise SystemExit("flush")
sys.stdout = sys.stderr = Stream()
"""

PRINT = """
import builtins, traceback
def fail(*args, **kwargs):
    raise RuntimeError("print is not for you")
builtins.print = traceback.print_exc = traceback.format_exception = traceback.print_exception = fail
"""

CHANGES = {
    "write-only": WRITE_ONLY,
    "none": "sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None\n",
    "deleted": "del sys.stdout, sys.stderr\n",
    "closed": "sys.stdout.close(); sys.stderr.close()\n",
    "detached": "kept = sys.stdout.detach(), sys.stderr.detach()\n",
    "flush-raises": FLUSH_RAISES,
    "print": PRINT,
}


def another(port, pid):
    """The pid of the worker that has come in place of one."""
    def answer():
        try:
            text = get(port).text
        except (OSError, Broken):  # its connection
            return None
        return text if text != pid else None
    return eventually(answer)


def lives_through_everything(running, port):
    """One worker serves, reports an exception, has a successor when it is killed, is replaced by a reload, and stops with status 0."""
    first = get(port).text
    assert [get(port, "/errors").status for _ in range(3)] == [200] * 3
    assert get(port, "/raise").status == 500
    running.signal_process(int(first), signal.SIGKILL)
    second = another(port, first)
    running.signal(signal.SIGHUP)
    another(port, second)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    running.wait_gone()


BOTH = pytest.mark.parametrize("more", [[], ["--lazy-apps"]], ids=["plain", "lazy-apps"])


@BOTH
@pytest.mark.parametrize("change", CHANGES)
def test_streams_are_the_applications(server, change, more):
    transport = http_socket()
    running = server(transport, ["--master", "--processes", "1", *more], app="import sys\n" + CHANGES[change] + APP)
    lives_through_everything(running, transport.port)
    assert "one line \\udc80é\ntwo lines\nrest" in running.log()
    assert "ValueError: as wanted" in running.log()
    assert "a line of the log" in running.log()


def test_what_is_held_back_at_the_fork_is_written_once(server):
    transport = http_socket()
    held = "import sys\nsys.stdout.write('held back')\nsys.stdout = open(1, 'w', closefd=False)\nsys.stdout.write('also held')\n"
    running = server(transport, ["--master", "--processes", "1"], app=held + APP)
    lives_through_everything(running, transport.port)
    log = running.log()
    assert (log.count("held back"), log.count("also held")) == (2, 2), log  # by each of the two imports


@BOTH
def test_a_full_log_costs_nothing_but_lines(server, more):
    transport = http_socket()
    running = server(transport, ["--master", "--processes", "1", *more], app="print('while importing', flush=True)\n" + APP,
                     wrapper=["sh", "-c", 'exec "$@" >/dev/full 2>&1', "sh"])
    lives_through_everything(running, transport.port)


@BOTH
def test_nor_does_one_that_nobody_reads_any_more(server, more):
    transport = http_socket()
    reader, writer = os.pipe()
    try:
        running = server(transport, ["--master", "--processes", "1", *more], app="print('while importing', flush=True)\n" + APP,
                         wrapper=["sh", "-c", f'exec "$@" >/proc/{os.getpid()}/fd/{writer} 2>&1', "sh"])
        assert get(transport.port).status == 200
    finally:
        os.close(reader)
        os.close(writer)
    lives_through_everything(running, transport.port)


GREEN = {
    "none": "",
    "gevent": "from gevent import monkey\nmonkey.patch_all()\n",
    "gevent-loop": "from gevent import monkey\nmonkey.patch_all()\nimport gevent\ngevent.sleep(0)\n",
    "eventlet": "import eventlet\neventlet.monkey_patch()\n",
    "eventlet-loop": "import eventlet\neventlet.monkey_patch()\neventlet.sleep(0)\n",
}

TOGETHER = f"""
import os, threading, time
{ANSWER}
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path != "/":
        open("inside" + path.replace("/", "-"), "w").close()
        while sum(name.startswith("inside-") for name in os.listdir()) < 4:
            time.sleep(0.01)
    return answer(start_response, f"{{os.getpid()}} {{threading.current_thread().name}}")
"""


@pytest.mark.parametrize("green", GREEN)
def test_threads_are_real_whatever_was_patched(server, green):
    """Four requests are in the application at the same time; reload and stop do what they do elsewhere."""
    transport = http_socket()
    running = server(transport, ["--master", "--threads", "4", "--virtualenv", sys.prefix], app=GREEN[green] + TOGETHER)
    clients = [Connection(transport.port, timeout=10) for _ in range(4)]
    for number, client in enumerate(clients):
        client.send(f"/{number}")
    answers = [client.receive().text.split() for client in clients]
    assert len({pid for pid, _ in answers}) == 1
    assert sorted(name for _, name in answers) == [f"uWSGIWorker1Core{core}" for core in range(4)]
    assert "started threads while it was imported" not in running.log()
    running.signal(signal.SIGHUP)
    eventually(lambda: get(transport.port).text.split()[0] != answers[0][0])
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
