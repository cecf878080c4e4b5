"""Applications start threads and processes of their own: that works in a worker as it does in any Python program."""
import ast
import signal
import socket

import pytest
from apps import ANSWER
from http_client import Connection, eventually, get
from server import free_port
from transports import http, http_socket

APP = """
import concurrent.futures, multiprocessing, os, signal, subprocess, sys, threading, time

def by_subprocess():
    return subprocess.run(["echo", "done"], capture_output=True, text=True).stdout.strip()

def by_python_subprocess():
    return subprocess.run([sys.executable, "-c", "print('done')"], capture_output=True, text=True).stdout.strip()

def by_system():
    return "done" if os.system("exit 3") >> 8 == 3 else "wrong status"

def by_fork():
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, b"done")
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return os.read(reader, 10).decode() if status == 0 else f"status {status}"

def by_fork_and_exit():
    pid = os.fork()
    if pid == 0:
        sys.stdout.flush()
        threading.Thread(target=int).start()
        os._exit(4)
    return "done" if os.waitpid(pid, 0)[1] >> 8 == 4 else "wrong status"

def by_fork_and_term():
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(5)
    os.kill(pid, signal.SIGTERM)
    return "done" if os.waitpid(pid, 0)[1] == signal.SIGTERM else "wrong status"

def by_fork_with_handlers():
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(6))
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.write(writer, b"ready")
        while True:
            time.sleep(0.01)  # not pause(): a signal that comes just before it would be waited for in vain
    signal.signal(signal.SIGTERM, before)
    os.read(reader, 5)
    os.kill(pid, signal.SIGTERM)
    return "done" if os.waitpid(pid, 0)[1] >> 8 == 6 else "wrong status"

def by_fork_and_broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, b"nobody listens")
        except BrokenPipeError:
            os._exit(7)
    os.close(writer)
    return "done" if os.waitpid(pid, 0)[1] >> 8 == 7 else "wrong status"

def by_multiprocessing():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return "done" if pool.map(abs, [-1, -2, -3]) == [1, 2, 3] else "wrong result"

def by_thread():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return "done" if sum(pool.map(abs, range(-10, 0))) == 55 else "wrong result"

def by_signal():
    told = []
    before = signal.signal(signal.SIGUSR1, lambda *_: told.append("done"))
    os.kill(os.getpid(), signal.SIGUSR1)
    for _ in range(1000):
        if told:
            break
    signal.signal(signal.SIGUSR1, before)
    return "".join(told)

def by_lingering_child():
    subprocess.Popen(["sleep", "600"], close_fds=False, stdin=subprocess.DEVNULL)
    return "done"

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [globals()["by_" + environ["PATH_INFO"][1:]]().encode()]
"""

WAYS = ["subprocess", "python_subprocess", "system", "fork", "fork_and_exit", "fork_and_term", "fork_with_handlers", "fork_and_broken_pipe",
        "multiprocessing", "thread", "signal"]


@pytest.mark.parametrize("way", WAYS)
def test_way(server, way):
    """Ten times in a row, in a worker that has answered requests before."""
    transport = http()
    server(transport, ["--master", "--processes", "1"], app=APP)
    assert [get(transport.port, f"/{way}").text for _ in range(10)] == ["done"] * 10


def test_a_child_that_lives_on_holds_no_port(server):
    """The listening socket is not inherited by programs that the application starts."""
    port = free_port()
    transport = http()
    running = server(transport, ["--master", "--http-socket", f"127.0.0.1:{port}"], app=APP)
    assert get(transport.port, "/lingering_child").text == "done"
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    for number in (port, transport.port):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", number))


def test_a_child_that_lives_on_holds_no_connection(server):
    """Nor is the connection whose request started it: its client sees the end of the answer."""
    transport = http()
    server(transport, ["--master"], app=APP)
    client = Connection(transport.port, timeout=5)
    assert client.get("/lingering_child").text == "done"


FORKS = """
import ctypes, multiprocessing, os, time

def stay():
    while True:
        time.sleep(0.1)

def fork():
    return os.fork() or stay()

def forkpty():
    return os.forkpty()[0] or stay()

def process():
    multiprocessing.get_context("fork").Process(target=stay, daemon=True).start()

def extension():
    return ctypes.PyDLL(None).fork() or stay()

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/held":
        open("held", "w").close()
        while not os.path.exists("release"):
            time.sleep(0.01)
    elif path in ("/fork", "/forkpty", "/process", "/extension", "/fork/big"):
        globals()[path.split("/")[1]]()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"x" * (8 << 20) if path.endswith("/big") else b"done"]
"""


@pytest.mark.parametrize("way", ["fork", "forkpty", "process", "extension"])
def test_a_fork_that_lives_on_holds_no_connection(server, transport, way):
    """The client sees the end of an answer that only the connection's end ends; so does the next one."""
    server(transport, ["--master", "--processes", "1"], app=FORKS)
    for path in (f"/{way}", "/", f"/{way}"):
        assert Connection(transport.port, timeout=5).get(path).text == "done"


def test_a_fork_holds_no_connection_of_another_request(server):
    transport = http_socket()
    running = server(transport, ["--master", "--processes", "1", "--threads", "2"], app=FORKS)
    with Connection(transport.port, timeout=5) as held:
        held.send("/held")
        eventually((running.dir / "held").exists)
        assert Connection(transport.port, timeout=5).get("/fork").text == "done"
        running.write("release", "")
        assert held.receive().text == "done"


def test_a_fork_holds_no_connection_that_is_left_to_a_goroutine(server):
    """A response that is read slowly, a request that comes slowly and is refused then."""
    transport = http_socket()
    server(transport, ["--master", "--processes", "1", "--socket-timeout", "30"], app=FORKS)
    with Connection(transport.port, timeout=25, receive_buffer=4096) as reader, Connection(transport.port, timeout=25) as sender:
        sender.open()
        sender.socket.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n")
        reader.send("/fork/big")
        assert get(transport.port).text == "done"
        sender.socket.sendall(b"wrong\r\n\r\n")
        assert sender.receive().status == 400
        assert sender.socket is None or sender.socket.recv(1) == b""
        assert len(reader.receive().body) == 8 << 20


def test_sys_exit_in_a_request(server, transport):
    """The client gets an answer, and the service goes on."""
    app = APP + "\n\ndef by_exit():\n    sys.exit(5)\n"
    server(transport, ["--master", "--processes", "1"], app=app)
    assert get(transport.port, "/exit").status in (500, 502)
    eventually(lambda: get(transport.port, "/system").text == "done")


@pytest.mark.parametrize("more", [[], ["--lazy-apps"]], ids=["plain", "lazy-apps"])
def test_pipes_of_the_application_are_its_childrens(server, more):
    """However early a worker makes them: no number that the server has given back is closed in a child."""
    app = """
import os
def tell():
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            os.write(writer, b"told")
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    return os.read(reader, 10)
import uwsgidecorators
early = []
@uwsgidecorators.postfork
def begin():
    early.append(tell())
early.append(tell())
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr([*early, tell()]).encode()]
"""
    transport = http_socket()
    server(transport, ["--master", *more], app=app)
    assert set(ast.literal_eval(get(transport.port).text)) == {b"told"}


EXECUTING = f"""
import subprocess
{ANSWER}
def application(environ, start_response):
    listing = subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, stdout=subprocess.PIPE)
    return answer(start_response, listing.stdout.decode())
"""

EVERYTHING = (
    "--master --processes 2 --threads 2 --log-master --stats s.sock --prometheus p.sock --status-page page.sock "
    "--otlp-endpoint=http://127.0.0.1:9 "
    "--cache2 name=c,items=10 --queue 10 --sharedarea 1 --spooler . --mule --enable-metrics --snmp --locks 2"
)


def test_a_program_that_the_application_executes_gets_no_descriptor_of_ours(server):
    """Whatever the master, the gateways and the ways of looking at the instance share with workers."""
    transport = http_socket()
    server(transport, EVERYTHING.split(), app=EXECUTING)
    listed = [line.split()[-3::2] for line in get(transport.port).text.splitlines() if " -> " in line]
    assert len(listed) >= 3
    leaked = {fd: to for fd, to in listed if int(fd) > 2 and any(kind in to for kind in ("memfd:", "socket:", "anon_inode:"))}
    assert leaked == {}
