"""Many requests at once on one thread: gevent, asyncio, and --async with the loop of our own."""
import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from apps import ANSWER
from http_client import Connection, eventually, get
from load import at_once, reloads_under_load
from server import free_port

HERE = ["--virtualenv", sys.prefix]
LOOPS = {"gevent": ["--gevent"], "asyncio": ["--greenlet", "--asyncio"],
         "tornado": ["--greenlet", "--tornado"], "async": ["--ugreen", "--async"]}

# /rest/SECONDS answers after that time, /NAME by what the function of this name returns.
APP = f"""
import fcntl, os, signal, socket, time, uwsgi
{ANSWER}
inside = most = 0
handled = []

def pause(seconds):
    uwsgi.async_sleep(seconds)
    uwsgi.suspend()

def application(environ, start_response):
    global inside, most
    inside += 1
    most = max(most, inside)
    try:
        name, _, argument = environ["PATH_INFO"][1:].partition("/")
        result = globals()[name or "hello"](argument, environ, start_response)
    finally:
        inside -= 1
    return answer(start_response, str(result)) if isinstance(result, (str, int, float, tuple)) else result

def hello(*_): return os.getpid()
def most_inside(*_): return most
def rest(seconds, *_):
    pause(float(seconds))
    return os.getpid()

def hold(name, *_):
    open("held-" + name, "w").close()
    while not os.path.exists("release"):
        pause(0.01)
    return os.getpid()

def identity(name, environ, _):
    before = uwsgi.connection_fd(), environ["uwsgi.core"]
    uwsgi.set_logvar("who", name)
    pause(0.1)
    after = uwsgi.connection_fd(), uwsgi.env["uwsgi.core"]
    return f"{{before == after}} {{uwsgi.get_logvar('who').decode()}} {{uwsgi.env['PATH_INFO']}}"

def first_ready(*_):
    one, two = socket.socketpair(), socket.socketpair()
    two[1].send(b"x")
    uwsgi.wait_fd_read(one[0].fileno(), 5)
    uwsgi.wait_fd_read(two[0].fileno(), 5)
    uwsgi.suspend()
    return uwsgi.ready_fd() == two[0].fileno()

def nothing_ready(*_):
    one = socket.socketpair()
    uwsgi.wait_fd_read(one[0].fileno(), 1)
    uwsgi.suspend()
    return uwsgi.ready_fd()

def high_descriptor(*_):
    one = socket.socketpair()
    one[1].send(b"x")
    high = fcntl.fcntl(one[0], fcntl.F_DUPFD, 1100)
    uwsgi.wait_fd_read(high, 5)
    uwsgi.suspend()
    os.close(high)
    return uwsgi.ready_fd() == high

def writable(*_):
    one = socket.socketpair()
    uwsgi.wait_fd_write(one[0].fileno())
    uwsgi.suspend()
    return uwsgi.ready_fd() == one[0].fileno()

def no_descriptor(*_):
    try:
        uwsgi.wait_fd_read(987)
    except OSError as error:
        return type(error).__name__

class Endless:
    closed = 0
    def __iter__(self): return self
    def __next__(self): return b"x" * 65536
    def close(self): Endless.closed += 1

def endless(_, environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return Endless()

def closed(*_): return Endless.closed

def ticks(count, environ, start_response):
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    for number in range(int(count)):
        yield uwsgi.async_sleep(0.05)
        yield f"data: {{number}}\\n\\n".encode()

def fail(*_):
    pause(0.01)
    raise ValueError("meant")

def signals(*_): return str(handled)
def send_signal(*_):
    uwsgi.signal(7)
    return "sent"
uwsgi.register_signal(7, "worker", lambda number: (pause(0.01), handled.append(number)))

def python_signal(*_):
    os.kill(os.getpid(), signal.SIGUSR1 + 24)
    pause(0.05)
    return str(handled)
signal.signal(signal.SIGUSR1 + 24, lambda number, frame: handled.append("python"))
"""


@pytest.fixture(params=LOOPS)
def loop(request):
    return request.param


@pytest.fixture
def started(server, loop):
    """started(transport, cores, more) starts a server with the loop."""
    def start(transport, cores, args=(), **more):
        return server(transport, ["--master", *LOOPS[loop], str(cores), *HERE, *args], app=more.pop("app", APP), **more)
    return start


def worker(port):
    return int(get(port).text)


def test_requests_run_at_once_in_one_worker(started, transport):
    started(transport, 30)
    begun = time.monotonic()
    answers = at_once(transport.port, ["/rest/0.5"] * 30)
    assert time.monotonic() - begun < 5
    assert len(set(answers)) == 1
    assert int(get(transport.port, "/most_inside").text) > 20


def test_each_request_sees_itself(started, way):
    started(way, 10)
    answers = at_once(way.port, [f"/identity/{n}" for n in range(10)])
    assert answers == [f"True {n} /identity/{n}" for n in range(10)]


def test_what_waits_for_descriptors_and_times(started, way):
    started(way, 10)
    assert at_once(way.port, ["/first_ready", "/writable", "/high_descriptor", "/nothing_ready"]) == ["True"] * 3 + ["-1"]
    assert get(way.port, "/no_descriptor").text == "OSError"
    assert get(way.port, "/ticks/4").text == "".join(f"data: {n}\n\n" for n in range(4))


@pytest.mark.parametrize("quiet", [True, False])
def test_more_requests_than_cores_wait_for_their_turn(started, way, quiet):
    running = started(way, 2, ["--disable-async-warn-on-queue-full"] if quiet else [])
    assert len(at_once(way.port, ["/rest/0.1"] * 9)) == 9
    assert int(get(way.port, "/most_inside").text) == 2
    assert ("[DANGER] async queue is full !!!" in running.log()) != quiet


def test_exactly_as_many_requests_as_cores_are_no_full_queue(started, way):
    running = started(way, 4)
    for _ in range(3):
        assert len(at_once(way.port, ["/rest/0.1"] * 4)) == 4
    assert "async queue is full" not in running.log()


def test_reloads_under_load_lose_no_request(started, transport):
    running = started(transport, 20, ["-p", "2"])
    load = reloads_under_load(running, transport, "/rest/0.03?{number}")
    assert load.failures() == []
    assert len(load.texts) >= 4


def test_a_reload_waits_for_requests_in_hand(started, way):
    running = started(way, 5)
    old = worker(way.port)
    held = Connection(way.port, timeout=20)
    held.send("/hold/one")
    eventually((running.dir / "held-one").exists)
    running.signal(signal.SIGHUP)
    eventually(lambda: worker(way.port) != old)
    running.write("release", "")
    assert held.receive().text == str(old)
    eventually(lambda: old not in running.processes())


def test_a_stop_drains(started, way):
    running = started(way, 5)
    held = Connection(way.port, timeout=20)
    held.send("/rest/0.5")
    eventually(lambda: int(get(way.port, "/most_inside").text) > 1)
    running.signal(signal.SIGTERM)
    assert held.receive().status == 200
    assert running.wait_exit() == 0
    running.wait_gone()


def test_harakiri_is_for_each_request(started, way):
    running = started(way, 10, ["--harakiri", "2"])
    first = worker(way.port)
    until = time.monotonic() + 4
    while time.monotonic() < until:  # the worker is never without a request, none takes long
        at_once(way.port, ["/rest/0.4", "/rest/0.6"])
    assert worker(way.port) == first
    client = Connection(way.port, timeout=20)
    client.send("/hold/for-ever")
    running.wait_log("HARAKIRI")
    assert "/hold/for-ever" in running.log()
    eventually(lambda: worker(way.port) != first)


def test_who_does_not_read_holds_nobody_up_and_costs_no_memory(started, transport):
    running = started(transport, 10)
    pid = worker(transport.port)
    slow = [Connection(transport.port, timeout=20, receive_buffer=8192) for _ in range(3)]
    for client in slow:
        client.send("/endless")
    begun = time.monotonic()
    for _ in range(20):
        assert worker(transport.port) == pid
    assert time.monotonic() - begun < 5
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
    assert peak < 120_000, "kB: what is not read is not made"
    for client in slow:
        client.close()
    eventually(lambda: get(transport.port, "/closed").text == "3")
    assert running.running()


def test_cores_of_clients_that_vanish_are_free_again(started, way):
    started(way, 50)
    for _ in range(4):
        clients = [Connection(way.port, timeout=20) for _ in range(50)]
        for client in clients:
            client.send("/rest/0.2")
        for client in clients:
            client.close()
    assert len(at_once(way.port, ["/rest/0.1"] * 50)) == 50


def test_an_exception_is_one_requests_own(started, way):
    running = started(way, 5)
    client = Connection(way.port)
    client.send("/fail")
    others = at_once(way.port, ["/rest/0.1"] * 3)
    assert len(others) == 3
    assert client.receive().status == 500
    assert "ValueError: meant" in running.log()


def test_signals_are_handled_between_requests_in_hand(started, way):
    running = started(way, 5)
    held = Connection(way.port, timeout=20)
    held.send("/hold/one")
    eventually((running.dir / "held-one").exists)
    get(way.port, "/send_signal")
    eventually(lambda: get(way.port, "/signals").text == "[7]")
    assert "python" in get(way.port, "/python_signal").text
    running.write("release", "")
    held.receive()


def test_cores_show_in_statistics_and_workers_are_recycled(started, way):
    port = free_port()
    running = started(way, 7, ["--stats", f"127.0.0.1:{port}", "--stats-http", "--max-requests", "10", "--min-worker-lifetime", "0"])
    first = worker(way.port)
    stats = json.loads(get(port).text)
    assert len(stats["workers"][0]["cores"]) == 7
    assert "Operational MODE: async" in running.log()
    for _ in range(15):
        get(way.port)
    eventually(lambda: worker(way.port) != first)


def test_a_loop_and_threads_are_refused_together(server, loop):
    running = server(None, ["--http-socket", "127.0.0.1:0", *LOOPS[loop], "5", "--threads", "2"], app=APP)
    assert running.wait_exit() == 1
    assert 'option "threads"' in running.log()


def test_a_package_that_is_missing_is_named(server, loop, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    args = ["--http-socket", "127.0.0.1:0", *LOOPS[loop], "5", "--virtualenv", tmp_path / "bare"]
    running = server(None, args, app="import no_such_thing")
    assert running.wait_exit() == 1
    package = loop if loop in ("gevent", "tornado") else "greenlet"
    assert f'option "{loop}"' in running.log()
    assert f"-m pip install {package}" in running.log()


@pytest.mark.parametrize("args, said", [
    (["--loop", "gevent"], "--async N or --gevent N"),
    (["--gevent", "0"], "--async N or --gevent N"),
    (["--loop", "nosuch"], "async, gevent, asyncio, tornado"),
    (["--async", "20000"], "too large"),
])
def test_loops_that_cannot_be(server, args, said):
    running = server(None, ["--http-socket", "127.0.0.1:0", *args], app=APP)
    assert running.wait_exit() == 1
    assert said in running.log()


ASYNCIO = f"""
import asyncio, greenlet
{ANSWER}
async def slowly():
    await asyncio.sleep(0.2)
    return "awaited"

def application(environ, start_response):
    me = greenlet.getcurrent()
    task = asyncio.get_event_loop().create_task(slowly())
    task.add_done_callback(lambda _: me.switch())
    me.parent.switch()
    return answer(start_response, task.result())
"""


TORNADO = f"""
import greenlet
from tornado.ioloop import IOLoop
{ANSWER}
def application(environ, start_response):
    me = greenlet.getcurrent()
    IOLoop.current().call_later(0.2, me.switch, "awaited")
    return answer(start_response, me.parent.switch())
"""


@pytest.mark.parametrize("loop, app", [
    ("asyncio", ASYNCIO), ("tornado", ASYNCIO), ("tornado", TORNADO)], ids=["asyncio", "tornado", "IOLoop"])
def test_tasks_of_asyncio_are_awaited_by_greenlets(server, way, loop, app):
    server(way, [f"--{loop}", "20", "--greenlet", *HERE], app=app)
    begun = time.monotonic()
    assert at_once(way.port, ["/"] * 20) == ["awaited"] * 20
    assert time.monotonic() - begun < 3


def test_patient_clients_by_the_hundred(started, way):
    """More connections than cores are kept, and each is served again and again."""
    started(way, 300)
    clients = [Connection(way.port, keep=True, timeout=30) for _ in range(300)]
    wrong = []

    def ask(part):
        for _ in range(3):
            for client in part:
                client.send("/rest/0.05")
            wrong.extend(reply for reply in (client.receive() for client in part) if reply.status != 200)

    threads = [threading.Thread(target=ask, args=(clients[n::6],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


WHOLE = f"""
import io, uwsgi
{ANSWER}
PIECES = [bytes([n % 251]) * 70001 for n in range(60)]
open("whole", "wb").write(b"".join(PIECES))

def application(environ, start_response):
    kind = environ["PATH_INFO"][1:]
    write = start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(70001 * 60))])
    if kind == "list":
        return PIECES
    if kind == "iterator":
        return iter(PIECES)
    if kind == "write":
        for piece in PIECES:
            write(piece)
        return []
    if kind == "file":
        return environ["wsgi.file_wrapper"](open("whole", "rb"))
    if kind == "sendfile":
        uwsgi.sendfile("whole")
        return []
"""


@pytest.mark.parametrize("kind", ["list", "iterator", "write", "file", "sendfile"])
def test_who_reads_slowly_gets_all(started, transport, kind):
    running = started(transport, 3, ["--socket-timeout", "30"], app=WHOLE)
    slow = [Connection(transport.port, timeout=30, receive_buffer=16384) for _ in range(2)]
    for client in slow:
        client.send("/" + kind)
    time.sleep(0.1)  # what fits into the sockets' buffers is there
    answers = [client.receive().body for client in slow]
    assert answers == [(running.dir / "whole").read_bytes()] * 2
