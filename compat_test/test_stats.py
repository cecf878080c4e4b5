"""What the statistics show, beyond what the conformance suite asks of them."""
import json
import os
import signal
import socket

from apps import ANSWER
from http_client import Connection, eventually
from server import free_port
from transports import http_socket

PLAIN = f"""
{ANSWER}
def application(environ, start_response):
    return answer(start_response, "hello")
"""

LOCKING = f"""
import os, time, uwsgi
{ANSWER}
def application(environ, start_response):
    uwsgi.lock(1)
    with open("holder", "w") as f: f.write(str(os.getpid()))
    while not os.path.exists("release"):
        time.sleep(0.01)
    uwsgi.unlock(1)
    return answer(start_response, "unlocked")
"""


def holder(running):
    """The pid of the worker that has the lock, once one has."""
    eventually(lambda: (running.dir / "holder").exists() and (running.dir / "holder").read_text())
    return int((running.dir / "holder").read_text())


def locks(running):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(running.dir / "stats.sock"))
        return json.load(client.makefile())["locks"]


def test_locks_are_shown_with_who_holds_them(server):
    transport = http_socket()
    running = server(transport, ["--master", "--locks", "2", "--stats", "stats.sock"], app=LOCKING)
    running.wait_log("Stats server enabled")
    free = [{"user 0": 0}, {"user 1": 0}, {"user 2": 0}]
    assert locks(running) == free
    with Connection(transport.port, timeout=60) as held:
        held.send("/")
        pid = holder(running)
        assert locks(running) == [{"user 0": 0}, {"user 1": pid}, {"user 2": 0}]
        running.signal(signal.SIGHUP)
        running.wait_log("gracefully .RE.spawned")
        assert locks(running)[1] == {"user 1": pid}, "a worker of the last generation holds it still"
        running.write("release", "")
        assert held.receive().text == "unlocked"
    eventually(lambda: locks(running) == free)


def test_a_lock_is_free_when_its_holder_dies(server):
    transport = http_socket()
    running = server(transport, ["--master", "--locks", "1", "--stats", "stats.sock"], app=LOCKING)
    running.wait_log("Stats server enabled")
    with Connection(transport.port, timeout=60) as held:
        held.send("/")
        pid = holder(running)
        assert locks(running)[1] == {"user 1": pid}
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: locks(running)[1] == {"user 1": 0})


def test_statistics_over_http(server):
    """Any path and method; a client that asks for nothing holds nobody up, the stop neither."""
    transport, port = http_socket(), free_port()
    running = server(transport, ["--master", "--stats", f"127.0.0.1:{port}", "--stats-http"], app=PLAIN)
    running.wait_log("Stats server enabled")
    with socket.create_connection(("127.0.0.1", port)):
        for path in ("/", "/any?thing"):
            with Connection(port) as client:
                reply = client.get(path)
                assert (reply.status, reply.headers["content-type"], reply.headers["connection"]) == (200, "application/json", "close")
                assert json.loads(reply.body)["pid"] == running.pid
        running.signal(signal.SIGTERM)
        assert running.wait_exit(3) == 0
